/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/json.h"

#include <string.h>

#include "base/text.h"

static bool too_many_values(const unsigned char *p, size_t n)
{
    size_t commas = 0;
    for (const unsigned char *end = p + n; n > QS_JSON_COMMAS && p < end && (p = memchr(p, ',', (size_t)(end - p))); p++) commas++;
    return commas > QS_JSON_COMMAS;
}

json_t *qs_json_object(const char *what, const unsigned char *p, size_t n, qs_err *err)
{
    json_error_t je;
    char buf[sizeof je.text + 8];
    json_t *root = NULL;
    if (n > QS_JSON_MAX)
        qs_fail(err, QS_EFORMAT, _("%s: %zu bytes of JSON: at most %u MB are read"), what, n, QS_JSON_MAX / 1000000);
    else if (too_many_values(p, n))
        qs_fail(err, QS_EFORMAT, _("%s: more than %u values"), what, QS_JSON_COMMAS);
    else if (!(root = json_loadb((const char *)p, n, JSON_REJECT_DUPLICATES, &je)))
        qs_fail(err, QS_EFORMAT, _("%s: %s (byte %d)"), what, qs_name_shown(je.text, buf, sizeof buf), je.position);
    else if (!json_is_object(root)) {
        qs_fail(err, QS_EFORMAT, _("%s: not a JSON object"), what);
        json_decref(root);
        root = NULL;
    }
    return root;
}
