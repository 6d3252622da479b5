#!/usr/bin/env bash
# Runs the tests once more on a copy of the project whose addon is built with AddressSanitizer, UBSan and gcov, and
# prints the coverage of TypeScript and of C++. The copy keeps build/Release free of instrumented code.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
chmod 755 "$copy"
cd "$root"
cp -r native lib test bench examples scripts binding.gyp package.json ava.config.js tsconfig.json docs packaging *.md "$copy"
ln -s "$root/node_modules" "$copy/node_modules"
cd "$copy"

flags='-fsanitize=address,undefined -fno-omit-frame-pointer --coverage'
CXXFLAGS="$flags" LDFLAGS="$flags" npx node-gyp rebuild --silent

preload="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
status=0
npx c8 --all --src dist/lib --exclude 'dist/test/**' --reporter text-summary \
  env LD_PRELOAD="$preload" ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
  node scripts/test.js --no-vm "$@" || status=$?

echo 'C++ coverage (lines):'
gcovr --root . --object-directory build --filter 'native/' | grep -E '^(native|File|TOTAL)' || true
exit "$status"
