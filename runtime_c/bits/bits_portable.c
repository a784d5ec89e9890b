#include "kernels.h"
#include "transpose.h"

#define TARGET
#define TABLE bits_portable
#define NAME "portable"
#define transpose transpose64
#include "bits_impl.h"
