#include <stddef.h>
#include <stdint.h>

#include "tables.h"

#define TARGET
#define TABLE ring128_portable
#define NAME "portable"
#include "ring128_impl.h"
