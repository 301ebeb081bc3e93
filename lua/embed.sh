#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Lua files as C strings: embed.sh TOP lua/a/init.lua lua/a/b.lua ... >lua_files.h
set -eu
top=$1; shift
echo '/* Made by lua/embed.sh; do not edit. */'
echo 'static const struct lua_file { const char *module, *chunk, *text; } lua_files[] = {'
for file; do
    name=${file#lua/}
    module=$(echo "${name%.lua}" | sed 's|/init$||; s|/|.|g')
    echo "{\"$module\", \"@$name\","
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/?/\\?/g' -e 's/^/"/' -e 's/$/\\n"/' "$top/$file"
    echo '},'
done
echo '};'
