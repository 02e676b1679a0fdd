// Completes package-lock.json with the optional platform packages npm left out: `node tools/complete-lock.mjs`.
//
// npm silently drops an optional package its registry does not carry, and `npm ci` of npm 11 then refuses the
// lock ("Missing: … from lock file"). An entry without `integrity` is enough: npm installs it only where os, cpu
// and libc fit.
import { readFileSync, writeFileSync } from 'node:fs'

const file = process.argv[2] ?? 'package-lock.json'
const before = readFileSync(file, 'utf8')
const lock = JSON.parse(before)
const added = []

for (const [parent, { optionalDependencies = {} }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (resolves(parent, name, version)) continue
    const place = lock.packages[`node_modules/${name}`] ? `${parent}/node_modules/${name}` : `node_modules/${name}`
    lock.packages[place] = entry(name, version)
    added.push(`${name}@${version}`)
  }
}

lock.packages = Object.fromEntries(
  Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en')), // the order npm itself writes
)
const after = `${JSON.stringify(lock, null, 2)}\n`
if (after !== before) writeFileSync(file, after)
console.log(added.length === 0 ? `${file} is complete` : `added to ${file}:\n  ${added.sort().join('\n  ')}`)

/** Node's lookup, from the parent's own node_modules up to the top. A range is satisfied by whatever npm placed. */
function resolves(parent, name, version) {
  for (let folder = parent; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const found = lock.packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`]
    if (found) return !/^\d/.test(version) || found.version === version
    if (folder === '') return false
  }
}

function entry(name, version) {
  const platform =
    /\b(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)-([a-z]+\d*[a-z]*)(?:-(gnu|glibc|musl|eabi|msvc)\w*)?$/.exec(
      name,
    )
  if (!platform || !/^\d+\.\d+\.\d+/.test(version)) {
    throw new Error(`${name}@${version} names no platform or no exact version: add its entry by hand`)
  }
  const [, os, cpu, abi] = platform
  const libc = os !== 'linux' || !abi ? undefined : abi === 'musl' ? 'musl' : 'glibc'
  return { version, cpu: [cpu], dev: true, ...(libc && { libc: [libc] }), optional: true, os: [os] }
}
