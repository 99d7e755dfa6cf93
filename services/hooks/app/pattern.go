package app

import (
	"github.com/slipway-deploy/slipway/services/hooks/internal/pattern"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

func compilePattern(text []byte) (subscription.Matcher, error) {
	compiled, err := pattern.Compile(text)
	if err != nil {
		return nil, err
	}
	return compiled, nil
}
