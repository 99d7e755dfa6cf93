package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// setting is one field that can be set.
type setting struct {
	flag, env, def, help string
	secret               bool
	value                reflect.Value
}

// settingsOf lists the fields of the struct that into points to.
func settingsOf(into any) ([]*setting, error) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: %T is no pointer to a struct", into)
	}
	settings, err := collect(v.Elem(), "", "")
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(settings))
	for _, s := range settings {
		if seen[s.flag] {
			return nil, fmt.Errorf("config: flag -%s appears twice in %T", s.flag, into)
		}
		seen[s.flag] = true
	}
	return settings, nil
}

func collect(v reflect.Value, flagPrefix, envPrefix string) ([]*setting, error) {
	var all []*setting
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name, tagged := field.Tag.Lookup("flag")
		if !field.IsExported() || name == "-" {
			continue
		}
		env := field.Tag.Get("env")
		if value.Kind() == reflect.Struct && !isText(value) {
			inner, err := collect(value, joinFlag(flagPrefix, name), joinEnv(envPrefix, env))
			if err != nil {
				return nil, err
			}
			all = append(all, inner...)
			continue
		}
		if !tagged {
			continue
		}
		s := &setting{
			flag: joinFlag(flagPrefix, name), env: joinEnv(envPrefix, env), def: field.Tag.Get("default"),
			help: field.Tag.Get("help"), secret: field.Tag.Get("secret") == "true", value: value,
		}
		if s.kind() == "" {
			return nil, fmt.Errorf("config: field %s of %s has the type %s, which no text can set", field.Name, v.Type(), field.Type)
		}
		all = append(all, s)
	}
	return all, nil
}

func joinFlag(prefix, name string) string {
	if prefix == "" || name == "" {
		return prefix + name
	}
	return prefix + "-" + name
}

// joinEnv puts the prefix before the part of name that follows SLIPWAY_.
func joinEnv(prefix, name string) string {
	if prefix == "" || name == "" {
		return prefix + name
	}
	return prefix + "_" + strings.TrimPrefix(name, "SLIPWAY_")
}

func isText(v reflect.Value) bool {
	_, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	return ok
}

// setDefault applies the default tag unless the struct held a value already.
func (s *setting) setDefault() error {
	if s.def == "" || !s.value.IsZero() {
		return nil
	}
	return s.set(s.def)
}

// set reads the text into the field. The error does not hold a secret's text.
func (s *setting) set(text string) error {
	err := parse(s.value, text)
	if err == nil {
		return nil
	}
	if s.secret {
		return errors.New("has a bad value")
	}
	return fmt.Errorf("%q is no %s", text, s.kind())
}

// kind names the field's type in the help; empty when no text can set it.
func (s *setting) kind() string {
	switch v := s.value; {
	case v.Type() == reflect.TypeFor[time.Duration]():
		return "duration"
	case isText(v):
		return "value"
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
		return "list"
	case v.Kind() == reflect.String:
		return "string"
	case v.Kind() == reflect.Bool:
		return "bool"
	case v.CanInt():
		return "whole number"
	case v.CanUint():
		return "whole number from 0"
	case v.CanFloat():
		return "number"
	}
	return ""
}

// shown is the value that holds when nothing is set, for the help.
func (s *setting) shown() string {
	if s.value.IsZero() {
		return ""
	}
	if s.secret {
		return "set"
	}
	return fmt.Sprint(s.value.Interface())
}

// parse reads the text into v, which stays as it is on an error.
func parse(v reflect.Value, text string) error {
	if t, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return t.UnmarshalText([]byte(text))
	}
	parsed := reflect.New(v.Type()).Elem()
	if err := parseBasic(parsed, text); err != nil {
		return err
	}
	v.Set(parsed)
	return nil
}

func parseBasic(v reflect.Value, text string) error {
	var err error
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		var d time.Duration
		d, err = time.ParseDuration(text)
		v.SetInt(int64(d))
	case v.Kind() == reflect.Slice:
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				v.Set(reflect.Append(v, reflect.ValueOf(part).Convert(v.Type().Elem())))
			}
		}
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		v.SetBool(b)
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
	case v.CanFloat():
		var f float64
		f, err = strconv.ParseFloat(text, v.Type().Bits())
		v.SetFloat(f)
	}
	return err
}

// flagValue makes a setting a flag.Value whose errors are collected instead of ending the parse.
type flagValue struct {
	setting *setting
	failed  func(error)
}

// String is for the flag package only, which calls it on a zero value too.
func (f *flagValue) String() string { return "" }

// Set reads the flag's text.
func (f *flagValue) Set(text string) error {
	if err := f.setting.set(text); err != nil {
		f.failed(err)
	}
	return nil
}

// IsBoolFlag lets -insecure stand for -insecure=true.
func (f *flagValue) IsBoolFlag() bool { return f.setting.value.Kind() == reflect.Bool }
