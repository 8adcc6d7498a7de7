package udpio

// Switches that turn a feature off when set to anything but the empty string or "0".
const (
	envNoGSO  = "UDTCP_NO_GSO"
	envNoGRO  = "UDTCP_NO_GRO"
	envNoMMsg = "UDTCP_NO_MMSG"
)
