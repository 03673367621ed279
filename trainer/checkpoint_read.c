/* trainer/checkpoint_read.c - which checkpoint is whole, and what it was made with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/files.h"
#include "base/json.h"
#include "trainer/checkpoint.h"
#include "trainer/checkpoint_manifest.h"

int checkpoint_verify(const char *folder, error *e) {
    json *manifest = NULL;
    int code = manifest_read(&manifest, folder, e);
    if (!code) code = manifest_verify(manifest, folder, true, e);
    if (manifest) json_free(manifest);
    return code;
}

bool checkpoint_newest(const run_folder *r, char name[64]) {
    size_t count;
    checkpoint_entry *list = run_folder_checkpoints(r->path, &count);
    bool found = false;
    for (size_t i = count; i-- > 0 && !found;) {
        char *folder = files_join(r->path, list[i].name);
        error e = {0};
        found = !checkpoint_verify(folder, &e);
        if (found) memcpy(name, list[i].name, sizeof list[i].name);
        else warn("%s is passed over: %s", list[i].name, e.text);
        free(folder);
    }
    free(list);
    return found;
}

int checkpoint_facts_read(checkpoint_facts *f, const char *folder, error *e) {
    json *m = NULL;
    *f = (checkpoint_facts){0};
    int code = manifest_read(&m, folder, e);
    if (code) return code;
    *f = (checkpoint_facts){must_strdup(manifest_text(m, "config")), must_strdup(manifest_text(m, "kernel_set")), must_strdup(manifest_text(m, "data_hash")),
                            must_strdup(manifest_text(m, "program_version")), json_int(json_get(m, "step"))};
    json_free(m);
    return 0;
}

void checkpoint_facts_free(checkpoint_facts *f) {
    free(f->config_yaml), free(f->kernel_set), free(f->data_hash), free(f->program_version);
    *f = (checkpoint_facts){0};
}
