import { lstatSync, readlinkSync, statSync } from 'node:fs'
import { dirname, join, parse, relative, resolve, sep } from 'node:path'
import { LruMap } from './lru-map.js'
import { warn } from './warn.js'

const worldWritable = 0o002
const worldReadable = 0o004
const sticky = 0o1000

/** What is wrong with a path, as long as it is the same, is said once. */
const told = new LruMap<string, string>(1_000)

/**
 * Warns (`MTLS_FILE_PERMISSIONS`) where everybody on this machine may change what is read from files an operator named: by writing to one, or by
 * replacing it, or one of the directories above it. `secret`: also where everybody may read it.
 *
 * Groups are left alone: with an `fsGroup` Kubernetes makes every mount writable by one. So are sticky directories, as /tmp and the mounts of
 * Kubernetes are, in which nobody replaces what is another's. On Windows modes mean nothing.
 */
export function warnOfFilePermissions(files: readonly string[], { secret = false } = {}): void {
  const [first] = files
  if (first === undefined) return
  warnOnce(
    first,
    files.map((path) => laxFile(path, secret)),
  )
}

/** The same about a directory every file of which is believed: nobody else may add one, sticky or not. */
export function warnOfDirectoryPermissions(directory: string, files: readonly string[]): void {
  warnOnce(directory, [laxDirectory(directory), ...files.map((path) => laxFile(path, false))])
}

function warnOnce(key: string, findings: readonly (string | undefined)[]): void {
  const different = new Set(findings.filter((finding) => finding !== undefined))
  const [first] = different
  if (first === undefined) {
    told.delete(key)
    return
  }
  const message = different.size === 1 ? first : `${first} (and ${different.size - 1} more)`
  if (told.get(key) === message) return
  told.set(key, message)
  warn('MTLS_FILE_PERMISSIONS', message)
}

function laxFile(path: string, secret: boolean): string | undefined {
  return orNothing(() => {
    const mode = modeOf(path)
    if ((mode & worldWritable) !== 0) return finding(path, mode, 'change it', 'o-w')
    if (secret && (mode & worldReadable) !== 0) return finding(path, mode, 'read it', 'o=')
    return laxAbove(path)
  })
}

function laxDirectory(path: string): string | undefined {
  return orNothing(() => {
    const { mode, uid } = statSync(path)
    // The kubelet's, which containers can only read: sticky and open to everybody. In another such directory, anybody can put a ..data.
    const isMount = (mode & sticky) !== 0 && ownerOf(join(path, '..data')) === uid
    if ((mode & worldWritable) !== 0 && !isMount) return finding(path, mode & 0o7777, 'add to it', 'o-w')
    return laxAbove(path)
  })
}

/** Of the directories above a path, and above each link on the way to what it is, the first whose entries everybody may replace. */
function laxAbove(path: string): string | undefined {
  for (const way of waysTo(path)) {
    for (let child = way, parent = dirname(way); parent !== child; child = parent, parent = dirname(parent)) {
      const mode = modeOf(parent)
      if ((mode & worldWritable) !== 0 && (mode & sticky) === 0)
        return finding(parent, mode, 'replace what is in it', 'o-w')
    }
  }
  return undefined
}

/** A path as it was written, and as it reads after each link in it: they are followed from the root on, as the system does. */
function waysTo(path: string): readonly string[] {
  const ways = [resolve(path)]
  for (const way of ways) {
    const link = firstLink(way)
    if (link !== undefined) ways.push(resolve(dirname(link), readlinkSync(link), relative(link, way)))
  }
  return ways
}

function firstLink(path: string): string | undefined {
  let at = parse(path).root
  for (const name of path.slice(at.length).split(sep)) {
    at = join(at, name)
    if (lstatSync(at).isSymbolicLink()) return at
  }
  return undefined
}

const modeOf = (path: string) => statSync(path).mode & 0o7777

const ownerOf = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.uid

const finding = (path: string, mode: number, may: string, change: string) =>
  `${path} has mode ${mode.toString(8).padStart(4, '0')}: everybody on this machine may ${may} — chmod ${change} ${path}`

/** What cannot be looked at is told by whoever reads it. */
function orNothing(look: () => string | undefined): string | undefined {
  if (process.platform === 'win32') return undefined
  try {
    return look()
  } catch {
    return undefined
  }
}
