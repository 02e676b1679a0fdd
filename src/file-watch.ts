import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ClientCertConfigError } from './errors.js'

const intervalMilliseconds = 2_000
const readAttempts = 3

/**
 * Calls `changed` when a file, or an entry of a directory, was replaced, rewritten, or got other permissions. It compares what `stat` says
 * every two seconds: that sees renames, links flipped by Kubernetes, network file systems and bind mounts, each of which some `fs.watch`
 * misses. Where `changed` returns false it could not make use of what it found, and is called again the next time. The timer keeps no process
 * alive. Returns what stops it.
 */
export function watchFiles(paths: readonly string[], changed: () => unknown): () => void {
  let last = fingerprintOf(paths)
  let satisfied = true
  const timer = setInterval(() => {
    const now = fingerprintOf(paths)
    if (now === last && satisfied) return
    last = now
    satisfied = changed() !== false
  }, intervalMilliseconds)
  timer.unref()
  return () => clearInterval(timer)
}

/**
 * Reads files while they stay as they are. What is replaced meanwhile is read again, so that nobody gets one file of the former version and
 * one of the next; where that goes on, {@link ClientCertConfigError}.
 */
export function readUnchanged<T>(paths: readonly string[], read: () => T): T {
  for (let attempt = 1; ; attempt++) {
    const before = fingerprintOf(paths)
    let failure: { error: unknown } | undefined
    let value: T | undefined
    try {
      value = read()
    } catch (error) {
      failure = { error }
    }
    if (fingerprintOf(paths) === before) {
      if (failure !== undefined) throw failure.error
      return value as T
    }
    if (attempt === readAttempts) {
      throw new ClientCertConfigError(`${paths.join(', ')}: changes while it is read — write a new file, and rename it`)
    }
  }
}

function fingerprintOf(paths: readonly string[]): string {
  return paths.flatMap(stateOf).join('\n')
}

function stateOf(path: string): string[] {
  try {
    const stats = statSync(path, { bigint: true })
    if (stats.isDirectory())
      return [
        path,
        ...readdirSync(path)
          .sort()
          .flatMap((name) => fileState(join(path, name))),
      ]
  } catch {
    return [`${path} unreadable`]
  }
  return fileState(path)
}

function fileState(path: string): string[] {
  try {
    // Permissions that are taken away change nothing but ctime.
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
    return [`${path} ${ino} ${size} ${mtimeNs} ${ctimeNs}`]
  } catch {
    return [`${path} unreadable`]
  }
}
