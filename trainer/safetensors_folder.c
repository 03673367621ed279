/* trainer/safetensors_folder.c - the weights of a Hugging Face folder, in one file or several. */
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/json.h"
#include "trainer/safetensors.h"

enum { MOST_FILES = 1000 };

static bool bare(const char *name) { return *name && *name != '.' && !strchr(name, '/'); }

static safetensors *file_named(const safetensors_folder *f, const char *path) {
    for (size_t i = 0; i < f->files; i++)
        if (!strcmp(f->file[i].path, path)) return &f->file[i];
    return NULL;
}

static int open_one(safetensors_folder *f, const char *path, error *e) {
    if (f->files == MOST_FILES) return error_set(e, EXIT_USAGE, "%s: more than %d files of weights", path, MOST_FILES);
    f->file = must_realloc(f->file, f->files + 1, sizeof *f->file);
    int code = safetensors_open(&f->file[f->files], path, e);
    if (code) return code;
    size_t tensors = 0;
    f->files++;
    for (size_t i = 0; i < f->files; i++) tensors += f->file[i].count;
    return tensors > SAFETENSORS_MOST ? error_set(e, EXIT_USAGE, "%s: more than %d tensors with the files before it", path, SAFETENSORS_MOST) : 0;
}

static int check_once(const safetensors_folder *f, error *e) {
    for (size_t i = 1; i < f->files; i++)
        for (size_t k = 0; k < f->file[i].count; k++)
            for (size_t before = 0; before < i; before++)
                if (safetensors_find(&f->file[before], f->file[i].entry[k].name))
                    return error_set(e, EXIT_USAGE, "%s: %s is also in %s", f->file[i].path, f->file[i].entry[k].name, f->file[before].path);
    return 0;
}

static int open_index(safetensors_folder *f, const char *folder, const char *index, error *e) {
    json *root = NULL;
    int code = json_read(&root, index, 100000000, e);
    if (code) return code;
    const json *map = json_get(root, "weight_map");
    if (!map || json_kind_of(map) != JSON_KIND_OBJECT || json_count(map) > SAFETENSORS_MOST)
        code = error_set(e, EXIT_USAGE, "%s: no weight_map of at most %d tensors", index, SAFETENSORS_MOST);
    for (const char *key = code ? NULL : json_next_key(map, NULL); key && !code; key = json_next_key(map, key)) {
        const json *value = json_get(map, key);
        const char *name = json_kind_of(value) == JSON_KIND_STRING ? json_string(value) : "";
        if (!bare(name)) { code = error_set(e, EXIT_USAGE, "%s: %s: not the bare name of a file", index, key); break; }
        char *path = files_join(folder, name);
        if (!file_named(f, path)) code = open_one(f, path, e);
        if (!code && !safetensors_find(file_named(f, path), key)) code = error_set(e, EXIT_USAGE, "%s: %s is not there, though %s says so", path, key, index);
        free(path);
    }
    json_free(root);
    return code ? code : check_once(f, e);
}

int safetensors_folder_open(safetensors_folder *f, const char *folder, error *e) {
    *f = (safetensors_folder){0};
    char *one = files_join(folder, "model.safetensors"), *index = files_join(folder, "model.safetensors.index.json");
    char *pickled = files_join(folder, "pytorch_model.bin"), *pickled_index = files_join(folder, "pytorch_model.bin.index.json");
    int code;
    if (!files_is_folder(folder)) code = error_set(e, EXIT_USAGE, "%s: no such folder", folder);
    else if (files_exists(one)) code = open_one(f, one, e);
    else if (files_exists(index)) code = open_index(f, folder, index, e);
    else if (files_exists(pickled) || files_exists(pickled_index))
        code = error_set(e, EXIT_USAGE, "%s: pytorch_model.bin can run code when it is read and is not opened; convert it once: python3 -c "
                         "\"from transformers import AutoModelForPreTraining as M; M.from_pretrained('%s').save_pretrained('NEW-FOLDER')\"", folder, folder);
    else code = error_set(e, EXIT_USAGE, "%s: no model.safetensors in it", folder);
    free(one), free(index), free(pickled), free(pickled_index);
    if (code) safetensors_folder_close(f);
    return code;
}

void safetensors_folder_close(safetensors_folder *f) {
    for (size_t i = 0; i < f->files; i++) safetensors_close(&f->file[i]);
    free(f->file);
    *f = (safetensors_folder){0};
}

const safetensors_entry *safetensors_folder_find(const safetensors_folder *f, const char *name, const safetensors **file) {
    for (size_t i = 0; i < f->files; i++) {
        const safetensors_entry *t = safetensors_find(&f->file[i], name);
        if (t) { *file = &f->file[i]; return t; }
    }
    return NULL;
}
