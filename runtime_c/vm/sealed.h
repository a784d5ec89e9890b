#ifndef SEQ_SEALED_H
#define SEQ_SEALED_H
/* Sealed files: encrypted and authenticated with a key that only their owner holds, written whole
 * or not at all. AES-256-GCM over pieces of 1 MiB, so that nothing unverified is ever used.
 *
 * Layout (little-endian): magic "SQTRSEAL", u32 version, u32 bytes of the caller's header, 32
 * random bytes of salt, 16 bytes that tell whether a key is the right one, the header; then pieces,
 * each a u32 (bytes of plaintext; bit 31: the last piece), the ciphertext, 16 bytes of tag. Piece i
 * has nonce i, and its u32 as associated data. The key of a file is HMAC-SHA256(owner's key,
 * everything before the pieces): another file's piece, a changed header, a missing end, all fail.
 * No key serves two files, so nonces may count from 0.
 *
 * A file opened for writing is PATH.new until sealed_close gives it its name. All errors are kept:
 * what follows an error does nothing. */

#include <stddef.h>
#include <stdint.h>

#include "../error.h"

#define SEALED_KEY 32
#define SEALED_PIECE ((size_t)1 << 20)

typedef struct sealed sealed;

/* Begin PATH anew. NULL with *err. */
sealed *sealed_create(const char *path, const uint8_t key[SEALED_KEY], const void *header,
                      size_t header_bytes, seq_error *err);
/* Open PATH; its header, of exactly this size, is read and verified. `what` it should be, for
 * messages: "a checkpoint". NULL with *err. */
sealed *sealed_open(const char *path, const char *what, const uint8_t key[SEALED_KEY], void *header,
                    size_t header_bytes, seq_error *err);
void sealed_write(sealed *s, const void *bytes, size_t n);
/* Zeros after an error. */
void sealed_read(sealed *s, void *bytes, size_t n);
/* Writing: the file reaches the disk and gets its name, unless there was an error. Reading: an
 * error if anything is left of it, unless `rest`. Frees s; the first error is in *err. */
seq_status sealed_close(sealed *s, int rest, seq_error *err);
/* Reading: an error if anything is left of it; else begin anew behind the header, in the same open
 * file, whatever has become of its name. Pieces are verified again as they are read. */
seq_status sealed_rewind(sealed *s);
/* The first error, or one with SEQ_OK. */
const seq_error *sealed_error(const sealed *s);
/* Close without a check; what was being written never gets its name. Frees s. */
void sealed_abandon(sealed *s);
/* Bytes in the file so far. */
uint64_t sealed_size(const sealed *s);

#endif
