package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/gantt"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/live"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// pictureFlags say where the picture of a plan goes.
type pictureFlags struct {
	file  string
	theme string
}

func (f *pictureFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "svg", "", "write the timeline as a picture to this file")
	cmd.Flags().StringVar(&f.theme, "theme", string(gantt.Auto), "colors of the picture: light, dark, or auto for what its reader prefers")
}

func (f *pictureFlags) check(cmd *cobra.Command) error {
	switch gantt.Theme(f.theme) {
	case gantt.Auto, gantt.Light, gantt.Dark:
		return nil
	}
	return usagef(cmd, "--theme is light, dark or auto, not %q", f.theme)
}

// write writes the picture, if one is asked for, and returns the file's name.
func (f *pictureFlags) write(service, definition string, r *orchestratorpb.PlanDeploymentResponse) (string, error) {
	if f.file == "" {
		return "", nil
	}
	picture := gantt.Picture{
		Title: pictureTitle(service, definition), Theme: gantt.Theme(f.theme),
		Subtitle: words.Strategy(r.GetDeploymentConfiguration()), Takes: takes(r), Notes: pictureNotes(r),
	}
	text := gantt.New(r).SVG(picture)
	if err := os.WriteFile(f.file, []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("cannot write the picture: %w", err)
	}
	return f.file, nil
}

func pictureTitle(service, definition string) string {
	switch {
	case service == "":
		return "Plan of a deployment"
	case definition == "":
		return "Plan of a deployment of " + words.Clean(service)
	}
	return "Plan of a deployment of " + words.Clean(service) + " to " + words.Clean(definition)
}

// pictureNotes is what ends the deployment without success, by what is done then, and the warnings.
func pictureNotes(r *orchestratorpb.PlanDeploymentResponse) []gantt.Note {
	var notes []gantt.Note
	for _, then := range outcomes(r) {
		notes = append(notes, gantt.Note{Text: then.what + " if", Items: then.causes})
	}
	for _, w := range r.GetWarnings() {
		notes = append(notes, gantt.Note{Text: "warning: " + words.Sentence(w)})
	}
	return notes
}

// picture draws the plan on the terminal.
func (c *cli) picture(r *orchestratorpb.PlanDeploymentResponse) string {
	width, _, _ := c.size()
	return strings.Join(live.Plan(live.PlanView{Chart: gantt.New(r), Width: width - 1, Color: c.color(), ASCII: c.ascii()}), "\n")
}
