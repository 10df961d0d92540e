package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// A Distribution is of times that are drawn at random.
type Distribution struct {
	// Kind is constant, exponential, lognormal, normal or uniform; exponential by default.
	Kind string `json:"kind" yaml:"kind"`
	// Mean is the mean of the times.
	Mean time.Duration `json:"mean" yaml:"mean"`
	// Sigma is the standard deviation of the logarithm of lognormal times: 0 to 5; 1 by default.
	Sigma float64 `json:"sigma" yaml:"sigma"`
	// Deviation is the standard deviation of normal times: at most the mean; 0s by default. What
	// would be less than no time counts as that much more.
	Deviation time.Duration `json:"deviation" yaml:"deviation"`
}

// Kinds of distributions.
const (
	Constant    = "constant"
	Exponential = "exponential"
	LogNormal   = "lognormal"
	Normal      = "normal"
	Uniform     = "uniform"
)

const (
	maxSigma = 5
	maxMean  = time.Hour
)

// Validate reports what is not allowed, with the path of the field before it.
func (d *Distribution) Validate(path string) error {
	switch d.Kind {
	case "", Constant, Exponential, LogNormal, Normal, Uniform:
	default:
		return notAllowed(path+".kind", d.Kind, "constant, exponential, lognormal, normal or uniform")
	}
	if d.Mean < 0 || d.Mean > maxMean {
		return notAllowed(path+".mean", d.Mean, fmt.Sprintf("0s to %v", maxMean))
	}
	if !(d.Sigma >= 0 && d.Sigma <= maxSigma) {
		return notAllowed(path+".sigma", d.Sigma, fmt.Sprintf("0 to %d", maxSigma))
	}
	if d.Deviation < 0 || d.Deviation > d.Mean {
		return notAllowed(path+".deviation", d.Deviation, "0s to the mean")
	}
	return nil
}

// Sample draws a time.
func (d *Distribution) Sample(r *rand.Rand) time.Duration {
	mean := float64(d.Mean)
	switch d.Kind {
	case Constant:
		return d.Mean
	case LogNormal:
		sigma := d.Sigma
		if sigma == 0 {
			sigma = 1
		}
		mean = math.Exp(math.Log(mean) - sigma*sigma/2 + sigma*r.NormFloat64())
	case Normal:
		mean = math.Abs(mean + float64(d.Deviation)*r.NormFloat64())
	case Uniform:
		mean *= 2 * r.Float64()
	default:
		mean *= r.ExpFloat64()
	}
	return time.Duration(min(mean, float64(100*maxMean)))
}

// notAllowed is the error of a setting.
func notAllowed(field string, value any, want string) error {
	return fmt.Errorf("%s: %v is not allowed: want %s", field, value, want)
}
