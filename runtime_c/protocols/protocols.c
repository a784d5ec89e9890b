/* The table of protocols. */
#include "protocol.h"

#include <string.h>

extern const seq_protocol protocol_emulate, protocol_rep3, protocol_rep3_mal, protocol_rep4,
    protocol_shamir, protocol_shamir_mal, protocol_dealer, protocol_semi2k, protocol_spdz2k_dealt;

static const seq_protocol *const protocols[] = {
    &protocol_emulate, &protocol_rep3,   &protocol_rep3_mal,
    &protocol_rep4,    &protocol_shamir, &protocol_shamir_mal,
    &protocol_dealer,  &protocol_semi2k, &protocol_spdz2k_dealt};

const seq_protocol *protocol_at(size_t i) {
    return i < sizeof protocols / sizeof protocols[0] ? protocols[i] : NULL;
}

const seq_protocol *protocol_find(const char *name) {
    for (size_t i = 0; protocol_at(i) != NULL; i++) {
        if (strcmp(protocols[i]->name, name) == 0) {
            return protocols[i];
        }
    }
    return NULL;
}
