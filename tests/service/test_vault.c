/*
 * The vault: what it seals it opens, and nobody else does.
 */
#define _GNU_SOURCE
#include "../core/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "people/vault.h"
#include "support/folder.h"

static const char one[] = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
static const char two[] = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY=";

static char error[512];

static int set_up(void **state) {
    *state = folder_make();
    unsetenv("DYNOSCALED_KEY");
    return 0;
}

static int tear_down(void **state) {
    folder_remove(*state);
    unsetenv("DYNOSCALED_KEY");
    return 0;
}

static struct vault *opened(const char *folder) {
    struct vault *vault = vault_open(folder, error, sizeof error);
    if (!vault) fail_msg("%s", error);
    return vault;
}

static void expect_opens(struct vault *vault, const char *about, const void *sealed, size_t length,
                         const char *secret) {
    char *found = vault_unseal(vault, about, sealed, length);
    if (secret) assert_non_null(found), assert_string_equal(found, secret);
    else assert_null(found);
    vault_wipe(found);
}

static void what_is_sealed_opens_again_after_a_start(void **state) {
    size_t length;
    struct vault *vault = opened(*state);
    void *sealed = vault_seal(vault, "shop", "the credential", &length);
    vault_free(vault);
    vault = opened(*state);
    expect_opens(vault, "shop", sealed, length, "the credential");
    vault_free(vault);
    free(sealed);
}

static void a_secret_opens_for_its_own_app_alone(void **state) {
    size_t length;
    struct vault *vault = opened(*state);
    void *sealed = vault_seal(vault, "shop", "the credential", &length);
    expect_opens(vault, "other", sealed, length, NULL);
    vault_free(vault);
    free(sealed);
}

static void every_changed_byte_and_every_cut_is_noticed(void **state) {
    size_t length;
    struct vault *vault = opened(*state);
    unsigned char *sealed = vault_seal(vault, "shop", "secret", &length);
    for (size_t i = 0; i < length; i++) {
        sealed[i] ^= 1;
        expect_opens(vault, "shop", sealed, length, NULL);
        sealed[i] ^= 1;
        expect_opens(vault, "shop", sealed, i, NULL);
    }
    expect_opens(vault, "shop", NULL, 0, NULL);
    vault_free(vault);
    free(sealed);
}

static void the_same_secret_is_sealed_differently_each_time(void **state) {
    size_t length;
    struct vault *vault = opened(*state);
    void *first = vault_seal(vault, "shop", "secret", &length);
    void *second = vault_seal(vault, "shop", "secret", &length);
    assert_memory_not_equal(first, second, length);
    vault_free(vault);
    free(first);
    free(second);
}

static void a_key_is_replaced_by_giving_the_old_one_behind_the_new(void **state) {
    size_t length, length_by_new;
    char both[128];
    setenv("DYNOSCALED_KEY", one, 1);
    struct vault *vault = opened(*state);
    void *sealed = vault_seal(vault, "shop", "secret", &length);
    vault_free(vault);
    snprintf(both, sizeof both, "%s,%s", two, one);
    setenv("DYNOSCALED_KEY", both, 1);
    vault = opened(*state);
    expect_opens(vault, "shop", sealed, length, "secret");
    void *by_new = vault_seal(vault, "shop", "secret", &length_by_new);
    vault_free(vault);
    setenv("DYNOSCALED_KEY", two, 1);
    vault = opened(*state);
    expect_opens(vault, "shop", sealed, length, NULL);
    expect_opens(vault, "shop", by_new, length_by_new, "secret");
    vault_free(vault);
    free(sealed);
    free(by_new);
}

static void a_key_that_is_none_is_refused_with_what_to_do(void **state) {
    static const char *const bad[] = {"short", "!!!", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5",
                                      ",", " "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("DYNOSCALED_KEY", bad[i], 1);
        assert_null(vault_open(*state, error, sizeof error));
        assert_non_null(strstr(error, "DYNOSCALED_KEY"));
        assert_null(strstr(error, bad[i][1] ? bad[i] : "no such text"));
    }
}

static void the_key_file_is_this_users_alone(void **state) {
    char path[600];
    struct stat status;
    snprintf(path, sizeof path, "%s/key", (char *)*state);
    vault_free(opened(*state));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(chmod(path, 0644), 0);
    assert_null(vault_open(*state, error, sizeof error));
    assert_non_null(strstr(error, "chmod 600"));
}

/* As a unit is given it and root's commands read it. */
static void a_key_file_may_be_a_link_to_that_of_an_environment(void **state) {
    char path[600], file[600];
    size_t length;
    setenv("DYNOSCALED_KEY", one, 1);
    struct vault *vault = opened(*state);
    void *sealed = vault_seal(vault, "shop", "secret", &length);
    vault_free(vault);
    unsetenv("DYNOSCALED_KEY");
    snprintf(path, sizeof path, "%s/key", (char *)*state);
    snprintf(file, sizeof file, "%s/environment", (char *)*state);
    assert_int_equal(symlink(file, path), 0);
    assert_null(vault_open(*state, error, sizeof error)); /* and none is made there */
    assert_int_not_equal(access(file, F_OK), 0);
    FILE *to = fopen(file, "w");
    fprintf(to, "DYNOSCALED_KEY=\"%s,%s\"\n", two, one);
    fclose(to);
    assert_int_equal(chmod(file, 0600), 0);
    vault = opened(*state);
    expect_opens(vault, "shop", sealed, length, "secret");
    vault_free(vault);
    free(sealed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(what_is_sealed_opens_again_after_a_start),
        TEST(a_secret_opens_for_its_own_app_alone),
        TEST(every_changed_byte_and_every_cut_is_noticed),
        TEST(the_same_secret_is_sealed_differently_each_time),
        TEST(a_key_is_replaced_by_giving_the_old_one_behind_the_new),
        TEST(a_key_that_is_none_is_refused_with_what_to_do),
        TEST(the_key_file_is_this_users_alone),
        TEST(a_key_file_may_be_a_link_to_that_of_an_environment),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
