/*
 * The harnesses for some seconds each, without libFuzzer: inputs that are known, changed at random.
 * It finds less than make fuzz, and needs no other compiler than the agents do. An input that fails
 * is written down: its place is then tests/fuzz/failures. Run by make test-fuzz.
 */
#define _GNU_SOURCE
#include "../core/support/suite.h"

#include <dirent.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

enum { LARGEST = 4096, MOST_INPUTS = 1000, MOST_CHANGES = 6, RUNS_BETWEEN_LOOKS = 100 };

typedef void harness(const uint8_t *data, size_t size);

typedef struct bytes {
    uint8_t data[LARGEST];
    size_t size;
} bytes;

static bytes known[MOST_INPUTS], current;
static size_t known_count;
static const char *seeds, *name;

/* ---- Random numbers ------------------------------------------------------------------------ */

static uint64_t state; /* of xorshift64*: G. Marsaglia, S. Vigna */

static uint64_t random_below(uint64_t limit) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * 0x2545F4914F6CDD1DULL >> 16) % limit;
}

static void seed_from_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    state = (uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec ^ 1;
}

/* ---- Inputs -------------------------------------------------------------------------------- */

static void read_known(const char *of, const char *path) {
    char file_name[1024];
    DIR *entries = opendir(path);
    if (!entries) return;
    for (struct dirent *entry; (entry = readdir(entries)) && known_count < MOST_INPUTS;) {
        if (entry->d_name[0] == '.') continue;
        snprintf(file_name, sizeof file_name, "%s/%s", path, entry->d_name);
        FILE *file = fopen(file_name, "rb");
        if (!file) fail_msg("can't open %s of %s", file_name, of);
        known[known_count].size = fread(known[known_count].data, 1, LARGEST, file);
        known_count++;
        fclose(file);
    }
    closedir(entries);
}

static void make_room(size_t at, size_t length) {
    if (current.size + length > LARGEST) length = LARGEST - current.size;
    memmove(current.data + at + length, current.data + at, current.size - at);
    current.size += length;
}

static void take_out(size_t at, size_t length) {
    memmove(current.data + at, current.data + at + length, current.size - at - length);
    current.size -= length;
}

/* Puts a piece of a known input in. */
static void graft(size_t at) {
    const bytes *other = &known[random_below(known_count)];
    if (other->size == 0) return;
    size_t from = random_below(other->size), length = 1 + random_below(other->size - from);
    if (current.size + length > LARGEST) return;
    make_room(at, length);
    memcpy(current.data + at, other->data + from, length);
}

static void change(void) {
    static const uint8_t telling[] = "0123456789.,=t:/@?#[]{}\"\\%+-eE \t\r\n\x00\x7f\x80\xc3\xff";
    size_t at = random_below(current.size + 1), left = current.size - at;
    uint8_t byte =
        random_below(2) ? telling[random_below(sizeof telling - 1)] : (uint8_t)random_below(256);
    switch (random_below(left > 0 ? 6 : 2)) {
    case 0:
        graft(at);
        break;
    case 1: {
        size_t length = random_below(8) ? 1 : random_below(300), before = current.size;
        make_room(at, length);
        memset(current.data + at, byte, current.size - before);
        break;
    }
    case 2:
        current.data[at] = byte;
        break;
    case 3:
        current.data[at] ^= (uint8_t)(1 << random_below(8));
        break;
    case 4:
        current.data[at] = (uint8_t)(current.data[at] + random_below(9) - 4);
        break;
    default:
        take_out(at, 1 + random_below(left));
    }
}

/* ---- Failures ------------------------------------------------------------------------------ */

/* The sanitizers too end a process by SIGABRT: see the Makefile. */
static void write_down(int number) {
    char path[1024];
    snprintf(path, sizeof path, "%s/../%s-failed", seeds, name);
    FILE *file = fopen(path, "wb");
    if (file) fwrite(current.data, 1, current.size, file), fclose(file);
    fprintf(stderr, "%s failed on what is now in %s\n", name, path);
    signal(number, SIG_DFL);
    raise(number);
}

/* ---- The tests ----------------------------------------------------------------------------- */

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void try_for_a_while(harness *run, const char *of) {
    const char *text = getenv("FUZZ_SECONDS");
    char path[512];
    name = of;
    known_count = 0;
    snprintf(path, sizeof path, "%s/%s", seeds, of);
    read_known(of, path);
    snprintf(path, sizeof path, "%s/../fuzz/failures/%s", VECTORS, of);
    read_known(of, path);
    if (known_count == 0) fail_msg("no inputs to begin with in %s", seeds);

    const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) signal(numbers[i], write_down);
    uint64_t runs = 0;
    for (double end = seconds_now() + (text ? atof(text) : 1); seconds_now() < end;) {
        for (int i = 0; i < RUNS_BETWEEN_LOOKS; i++, runs++) {
            current = known[random_below(known_count)];
            for (uint64_t n = random_below(MOST_CHANGES + 1); n > 0; n--) change();
            run(current.data, current.size);
        }
    }
    print_message("%s: %llu inputs\n", of, (unsigned long long)runs);
}

#define TEST(harness_name, what)                             \
    static void what(void **unused) {                        \
        (void)unused;                                        \
        try_for_a_while(fuzz_##harness_name, #harness_name); \
    }

TEST(answer, no_answer_is_misread)
TEST(body, no_input_of_the_api_is_misread)
TEST(decide, no_situation_is_too_strange_to_decide_on)
TEST(frame, no_request_is_misread)
TEST(headers, no_header_of_an_answer_is_misread)
TEST(moment, no_moment_is_misread)
TEST(part, no_stored_part_is_misread)
TEST(queue_time, no_header_is_misread)
TEST(report, no_report_is_misread)
TEST(report_rows, no_row_of_a_report_is_misread)
TEST(rows, no_row_is_miswritten)
TEST(rule, no_rules_are_misread)
TEST(settings, no_setting_is_misread)
TEST(sketch, no_stored_sketch_is_misread)
TEST(tree, no_yaml_is_misread)
TEST(url, no_address_is_misread)
TEST(week, no_end_of_a_rule_is_missed)
TEST(zone, no_clock_is_misread)

int main(int count, char **arguments) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_answer_is_misread),
        cmocka_unit_test(no_input_of_the_api_is_misread),
        cmocka_unit_test(no_situation_is_too_strange_to_decide_on),
        cmocka_unit_test(no_request_is_misread),
        cmocka_unit_test(no_header_of_an_answer_is_misread),
        cmocka_unit_test(no_moment_is_misread),
        cmocka_unit_test(no_stored_part_is_misread),
        cmocka_unit_test(no_header_is_misread),
        cmocka_unit_test(no_report_is_misread),
        cmocka_unit_test(no_row_of_a_report_is_misread),
        cmocka_unit_test(no_row_is_miswritten),
        cmocka_unit_test(no_rules_are_misread),
        cmocka_unit_test(no_setting_is_misread),
        cmocka_unit_test(no_stored_sketch_is_misread),
        cmocka_unit_test(no_yaml_is_misread),
        cmocka_unit_test(no_address_is_misread),
        cmocka_unit_test(no_end_of_a_rule_is_missed),
        cmocka_unit_test(no_clock_is_misread),
    };
    if (count != 2) return 2;
    seeds = arguments[1];
    seed_from_clock();
    return cmocka_run_group_tests_name("fuzz", tests, NULL, NULL);
}
