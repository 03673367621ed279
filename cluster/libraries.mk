# Where the libraries are. Each can be given by hand: HDF5_CFLAGS=... HDF5_LIBS=..., likewise BLAS, JANSSON, YAML, UUID, ZLIB, ZSTD, CMOCKA.
pkg = $(shell pkg-config $(1) $(2) 2>/dev/null)
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)

# OpenBLAS: Debian's alternatives prefer the pthread flavour, so the openmp one is linked, and found at run time, by its own path.
OPENBLAS_OPENMP := $(wildcard /usr/lib/$(MULTIARCH)/openblas-openmp)
ifneq ($(OPENBLAS_OPENMP),)
  BLAS_CFLAGS ?= -I/usr/include/$(MULTIARCH)/openblas-openmp
  BLAS_LIBS   ?= -L$(OPENBLAS_OPENMP) -Wl,-rpath,$(OPENBLAS_OPENMP) -lopenblas
else
  BLAS_CFLAGS ?= $(call pkg,--cflags,openblas)
  BLAS_LIBS   ?= $(or $(call pkg,--libs,openblas),-lopenblas)
endif
HDF5_PC := $(firstword $(foreach p,hdf5-serial hdf5 hdf5-openmpi,$(if $(call pkg,--modversion,$(p)),$(p))))
HDF5_CFLAGS    ?= $(call pkg,--cflags,$(HDF5_PC))
HDF5_LIBS      ?= $(or $(call pkg,--libs,$(HDF5_PC)),-lhdf5)
JANSSON_CFLAGS ?= $(call pkg,--cflags,jansson)
JANSSON_LIBS   ?= $(or $(call pkg,--libs,jansson),-ljansson)
YAML_CFLAGS    ?= $(call pkg,--cflags,yaml-0.1)
YAML_LIBS      ?= $(or $(call pkg,--libs,yaml-0.1),-lyaml)
UUID_CFLAGS    ?= $(call pkg,--cflags,uuid)
UUID_LIBS      ?= $(or $(call pkg,--libs,uuid),-luuid)
ZLIB_CFLAGS    ?= $(call pkg,--cflags,zlib)
ZLIB_LIBS      ?= $(or $(call pkg,--libs,zlib),-lz)
ZSTD_CFLAGS    ?= $(call pkg,--cflags,libzstd)
ZSTD_LIBS      ?= $(or $(call pkg,--libs,libzstd),-lzstd)
CMOCKA_CFLAGS  ?= $(call pkg,--cflags,cmocka)
CMOCKA_LIBS    ?= $(or $(call pkg,--libs,cmocka),-lcmocka)
LIB_CFLAGS = $(HDF5_CFLAGS) $(BLAS_CFLAGS) $(JANSSON_CFLAGS) $(YAML_CFLAGS) $(UUID_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS)
LIB_LIBS   = $(HDF5_LIBS) $(BLAS_LIBS) $(JANSSON_LIBS) $(YAML_LIBS) $(UUID_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS)
