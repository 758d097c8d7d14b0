// The part of XLA's binary interface for custom calls that a handler on the CPU needs, version 0.
//
// XLA keeps this interface stable: structs tell their size and only grow at the end. What is
// written here follows xla/ffi/api/c_api.h, so that a build needs no jax; tests/jax/test_kernels.py
// compares every offset with the header that the installed jaxlib brings.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace unsample {
namespace xla {

constexpr int kMajorVersion = 0;
constexpr int kFirstMinorVersion = 1;  // of those that ask for it
constexpr int kMetadata = 1;           // type of an extension
constexpr int kArray = 1;              // type of an attribute
constexpr int kInvalidArgument = 3;    // code of an error
constexpr int kResourceExhausted = 8;

enum DType {
    PRED = 1,
    S8 = 2,
    S16 = 3,
    S32 = 4,
    S64 = 5,
    U8 = 6,
    U16 = 7,
    U32 = 8,
    U64 = 9,
    F16 = 10,
    F32 = 11,
    F64 = 12,
    C64 = 15,
    BF16 = 16,
    C128 = 18,
};

struct Extension {
    size_t struct_size;
    int type;
    Extension* next;
};

struct Version {
    size_t struct_size;
    Extension* extension_start;
    int major_version, minor_version;
};

struct Buffer {
    size_t struct_size;
    Extension* extension_start;
    int dtype;
    void* data;
    int64_t rank;
    int64_t* dims;
};

struct Array {
    int dtype;
    size_t size;
    void* data;
};

struct Name {
    const char* ptr;
    size_t len;
};

struct Buffers {  // arguments or results
    size_t struct_size;
    Extension* extension_start;
    int64_t size;
    int* types;
    void** items;
};

struct Attributes {
    size_t struct_size;
    Extension* extension_start;
    int64_t size;
    int* types;
    Name** names;
    void** attrs;
};

struct Error;
struct NewError {
    size_t struct_size;
    Extension* extension_start;
    const char* message;
    int code;
};

struct Api {  // and more that is not called here
    size_t struct_size;
    Extension* extension_start;
    Version api_version;
    const void* internal_api;
    Error* (*create_error)(NewError*);
};

struct CallFrame {
    size_t struct_size;
    Extension* extension_start;
    const Api* api;
    void* ctx;
    int stage;
    Buffers args, rets;
    Attributes attrs;
};

struct Metadata {
    size_t struct_size;
    Version api_version;
    uint32_t traits;
};

struct MetadataExtension {
    Extension extension_base;
    Metadata* metadata;
};

using Handler = Error*(CallFrame*);

}  // namespace xla
}  // namespace unsample
