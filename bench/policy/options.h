/* Options of a run, given on the command line as key=value. The last one given wins. */
#ifndef POLICY_OPTIONS_H
#define POLICY_OPTIONS_H

void options_read(int count, char **words);
const char *option(const char *key, const char *fallback);
double option_number(const char *key, double fallback);
int option_int(const char *key, int fallback);

#endif
