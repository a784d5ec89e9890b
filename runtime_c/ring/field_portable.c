#define TARGET
#define TABLE field_portable
#define NAME "portable"
#include "field_impl.h"
