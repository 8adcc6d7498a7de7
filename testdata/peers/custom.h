// Congestion control that speaks user-defined control packets (CCC of libudt).

#ifndef UDTPEER_CUSTOM_H
#define UDTPEER_CUSTOM_H

// Makes u and what it accepts answer each user-defined packet with one of the
// next kind and the same words, and say so. Call before connect and listen.
bool answer_custom(int udt_socket);

#endif
