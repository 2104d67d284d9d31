// Package layers holds no code: its test reads layers.txt, the policy of who may import whom, and
// refuses what the policy does not allow.
package layers
