#include "people/roles.h"

#include <string.h>

static const char *const person_names[] = {
    [API_READ] = "read", [API_WRITE] = "operate", [API_ADMIN] = "admin"};
static const char *const scope_names[] = {
    [API_READ] = "read", [API_OPERATE] = "operate", [API_WRITE] = "write", [API_ADMIN] = "admin"};

static bool find(const char *const *names, const char *name, enum api_role *role) {
    for (int i = API_READ; i <= API_ADMIN; i++) {
        if (!names[i] || strcmp(names[i], name) != 0) continue;
        *role = (enum api_role)i;
        return true;
    }
    return false;
}

static const char *name_of(const char *const *names, enum api_role role) {
    return role >= API_READ && role <= API_ADMIN && names[role] ? names[role] : "none";
}

bool role_of_person(const char *name, enum api_role *role) {
    return find(person_names, name, role);
}

const char *role_person_name(enum api_role role) { return name_of(person_names, role); }

bool role_of_scope(const char *name, enum api_role *role) { return find(scope_names, name, role); }

const char *role_scope_name(enum api_role role) { return name_of(scope_names, role); }
