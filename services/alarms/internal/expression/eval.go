package expression

// evaluator computes expressions that were checked, each after those it refers to.
type evaluator struct {
	grid   Grid
	set    *Set
	values map[string]value
}

func (e *evaluator) eval(n node) value {
	switch n.kind {
	case nodeNumber:
		return scalar(n.value)
	case nodeText, nodeWord:
		return value{kind: kindWord, text: n.name}
	case nodeID:
		return e.values[n.name]
	case nodeCall:
		if n.name == "METRICS" {
			return e.metrics(n)
		}
	}
	of := make([]value, len(n.of))
	for i := range n.of {
		of[i] = e.eval(n.of[i])
	}
	switch n.kind {
	case nodeList:
		var series []Series
		for _, v := range of {
			series = append(series, v.series...)
		}
		return array(series)
	case nodeNegation:
		if of[0].kind == kindScalar {
			return scalar(-of[0].scalar)
		}
		return of[0].each(func(s Series) Series { return s.each(func(v float64) float64 { return -v }) })
	case nodeOperator:
		return operate(e.grid, n.name, of[0], of[1])
	}
	return functions[n.name].apply(e.grid, of)
}

func (e *evaluator) metrics(n node) value {
	text := ""
	if len(n.of) == 1 {
		text = n.of[0].name
	}
	var series []Series
	for _, id := range e.set.matching(text) {
		series = append(series, e.values[id].series...)
	}
	return array(series)
}
