package problem

// Kind says what a caller can do about a failure. It implements error, so that errors.Is(err, problem.NotFound)
// works on every error of this package, also on one that came over the network.
type Kind int

// The kinds. The zero Kind is none of them.
const (
	// InvalidArgument: the request can never work as it is. (Invalid, the function, makes one.)
	InvalidArgument Kind = iota + 1
	// NotFound: what the request names does not exist.
	NotFound
	// AlreadyExists: what the request creates exists already.
	AlreadyExists
	// Aborted: another writer was faster or newer; read again and retry.
	Aborted
	// FailedPrecondition: the request would work in another state of the resource.
	FailedPrecondition
	// PermissionDenied: the caller is known and may not do this.
	PermissionDenied
	// Unauthenticated: the caller is not known.
	Unauthenticated
	// ResourceExhausted: a limit is reached.
	ResourceExhausted
	// Unavailable: something needed cannot be reached now; retry after a while.
	Unavailable
	// DeadlineExceeded: the time ran out; whether the request took effect is unknown.
	DeadlineExceeded
	// Canceled: the caller gave up.
	Canceled
	// Internal: a defect or an unexpected state.
	Internal
)

// Kinds lists every kind, for tests of tables.
func Kinds() []Kind {
	all := make([]Kind, 0, int(Internal))
	for k := InvalidArgument; k <= Internal; k++ {
		all = append(all, k)
	}
	return all
}

// Error is the kind in words.
func (k Kind) Error() string {
	switch k {
	case InvalidArgument:
		return "invalid argument"
	case NotFound:
		return "not found"
	case AlreadyExists:
		return "already exists"
	case Aborted:
		return "aborted"
	case FailedPrecondition:
		return "failed precondition"
	case PermissionDenied:
		return "permission denied"
	case Unauthenticated:
		return "unauthenticated"
	case ResourceExhausted:
		return "resource exhausted"
	case Unavailable:
		return "unavailable"
	case DeadlineExceeded:
		return "deadline exceeded"
	case Canceled:
		return "canceled"
	case Internal:
		return "internal error"
	}
	return "unknown kind"
}
