#!/bin/sh
# apt calls this before dpkg: what was downloaded goes into the lab's cache of packages.
cache=/var/cache/rocminfra-lab/debs
for deb in /var/cache/apt/archives/*.deb; do
    name=${deb##*/}
    if [ -e "$deb" ] && [ ! -e "$cache/$name" ]; then
        cp "$deb" "$cache/.$name.$$" && mv "$cache/.$name.$$" "$cache/$name"
    fi
done
exit 0
