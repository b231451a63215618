/* Inputs that a fuzzer once failed on (tests/fuzz/failures), through the same harness, which ends
 * this program if it fails again. */
#define _GNU_SOURCE
#include "support/suite.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "../fuzz/fuzz.h"

enum { LARGEST = 64 * 1024 };

typedef void harness(const uint8_t *data, size_t size);

static void replay(harness *run, const char *path) {
    static uint8_t data[LARGEST];
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("can't open %s", path);
    size_t size = fread(data, 1, LARGEST, file);
    fclose(file);
    run(data, size);
}

static size_t replay_all(harness *run, const char *name) {
    char folder[512], path[1024];
    size_t count = 0;
    snprintf(folder, sizeof folder, "%s/../fuzz/failures/%s", VECTORS, name);
    DIR *entries = opendir(folder);
    if (!entries) return 0;
    for (struct dirent *entry; (entry = readdir(entries)); count++) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.') replay(run, path);
    }
    closedir(entries);
    return count;
}

static void inputs_that_failed_once_do_not_fail_again(void **state) {
    (void)state;
    size_t count = replay_all(fuzz_answer, "answer");
    count += replay_all(fuzz_body, "body");
    count += replay_all(fuzz_decide, "decide");
    count += replay_all(fuzz_frame, "frame");
    count += replay_all(fuzz_headers, "headers");
    count += replay_all(fuzz_moment, "moment");
    count += replay_all(fuzz_part, "part");
    count += replay_all(fuzz_queue_time, "queue_time");
    count += replay_all(fuzz_report, "report");
    count += replay_all(fuzz_report_rows, "report_rows");
    count += replay_all(fuzz_rows, "rows");
    count += replay_all(fuzz_rule, "rule");
    count += replay_all(fuzz_settings, "settings");
    count += replay_all(fuzz_sketch, "sketch");
    count += replay_all(fuzz_tree, "tree");
    count += replay_all(fuzz_url, "url");
    count += replay_all(fuzz_week, "week");
    count += replay_all(fuzz_zone, "zone");
    assert_true(count > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(inputs_that_failed_once_do_not_fail_again)};
    return cmocka_run_group_tests_name("fuzz_failures", tests, NULL, NULL);
}
