/*
 * Codes of authenticator apps and recovery codes.
 */
#include "../core/support/suite.h"

#include <stdlib.h>
#include <string.h>

#include "people/factor.h"

/* RFC 6238, appendix B: of its eight digits the last six. */
static void codes_are_those_of_the_rfc(void **state) {
    (void)state;
    static const char secret[] = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"; /* "12345678901234567890" */
    static const struct {
        int64_t at_s;
        const char *code;
    } vectors[] = {{59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
                   {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        assert_int_equal(factor_step(secret, vectors[i].code, vectors[i].at_s),
                         vectors[i].at_s / 30);
}

static void a_code_is_good_for_its_time_and_a_step_around_it(void **state) {
    (void)state;
    static const char secret[] = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    const int64_t step = 1234567890 / 30;
    for (int64_t off = -3; off <= 3; off++) {
        int64_t found = factor_step(secret, "005924", (step + off) * 30 + 15);
        assert_int_equal(found, off >= -1 && off <= 1 ? step : -1);
    }
    static const char *const wrong[] = {"005925", "", "5924", "0059240", "00592a", "      "};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(factor_step(secret, wrong[i], 1234567890), -1);
    assert_int_equal(factor_step("not base32!", "005924", 1234567890), -1);
}

static void secrets_and_recovery_codes_differ(void **state) {
    (void)state;
    char first[FACTOR_SECRET_SIZE], second[FACTOR_SECRET_SIZE];
    char one[FACTOR_RECOVERY_SIZE], two[FACTOR_RECOVERY_SIZE];
    assert_true(factor_make_secret(first));
    assert_true(factor_make_secret(second));
    assert_string_not_equal(first, second);
    assert_int_equal(strspn(first, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), FACTOR_SECRET_SIZE - 1);
    assert_true(factor_make_recovery(one));
    assert_true(factor_make_recovery(two));
    assert_string_not_equal(one, two);
    assert_int_equal(strlen(one), FACTOR_RECOVERY_SIZE - 1);
}

static void a_recovery_code_is_read_as_people_write_it(void **state) {
    (void)state;
    char code[FACTOR_RECOVERY_SIZE];
    static const char right[] = "abcd-efgh-ijkl-mnop-qrst-uvwx";
    static const char *const same[] = {right, "ABCDEFGHIJKLMNOPQRSTUVWX",
                                       " abcd efgh ijkl mnop qrst uvwx "};
    static const char *const none[] = {"", "abcd", "abcd-efgh-ijkl-mnop-qrst-uvw1",
                                       "abcd-efgh-ijkl-mnop-qrst-uvwx-y", "287082"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_true(factor_read_recovery(code, same[i]));
        assert_string_equal(code, right);
    }
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(factor_read_recovery(code, none[i]));
}

static void the_address_for_an_app_names_service_and_person(void **state) {
    (void)state;
    char uri[300];
    int width = 0;
    assert_true(factor_uri(uri, sizeof uri, "ABC", "Dynoscale a.example", "anna & b"));
    assert_string_equal(uri,
                        "otpauth://totp/Dynoscale%20a.example:anna%20%26%20b?secret=ABC&issuer="
                        "Dynoscale%20a.example");
    assert_false(factor_uri(uri, 40, "ABC", "Dynoscale", "anna"));
    char *picture = factor_picture(uri, &width);
    assert_non_null(picture);
    assert_true(width > 8 + 21);
    /* The upper edge of the first finder pattern. */
    assert_int_equal(strncmp(picture, "M4 4h7v1h-7z", 12), 0);
    free(picture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_the_rfc),
        cmocka_unit_test(a_code_is_good_for_its_time_and_a_step_around_it),
        cmocka_unit_test(secrets_and_recovery_codes_differ),
        cmocka_unit_test(a_recovery_code_is_read_as_people_write_it),
        cmocka_unit_test(the_address_for_an_app_names_service_and_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
