// Package promise asks those whose promises it holds.
package promise

import _ "github.com/udtcp/udtcp/internal/transfer" // want depguard
