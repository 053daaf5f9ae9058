//! States of TCP connections, as the kernel numbers them (`enum` in `net/tcp_states.h`).

/// Returns whether a socket in this state is one end of a connection that was made. A socket that
/// is still connecting is not: the connection with its addresses and ports is an older one then.
pub(super) fn is_connected(state: u8) -> bool {
    const ESTABLISHED: u8 = 1;
    const FIN_WAIT1: u8 = 4;
    const FIN_WAIT2: u8 = 5;
    const CLOSE_WAIT: u8 = 8;
    const LAST_ACK: u8 = 9;
    const CLOSING: u8 = 11;
    [
        ESTABLISHED,
        FIN_WAIT1,
        FIN_WAIT2,
        CLOSE_WAIT,
        LAST_ACK,
        CLOSING,
    ]
    .contains(&state)
}
