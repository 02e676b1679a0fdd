import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const intervalMilliseconds = 2_000

/**
 * Calls `changed` when a file, or an entry of a directory, was replaced or rewritten. It compares what `stat` says every two seconds: that
 * sees renames, links flipped by Kubernetes, network file systems and bind mounts, each of which some `fs.watch` misses. The timer keeps no
 * process alive. Returns what stops it.
 *
 * @param changed returns false where it could not read what it found, as when the process has too many files open: it is called again at the next look
 */
export function watchFiles(paths: readonly string[], changed: () => unknown): () => void {
  let last: string | undefined = fingerprintOf(paths)
  const timer = setInterval(() => {
    const now = fingerprintOf(paths)
    if (now === last) return
    last = changed() === false ? undefined : now
  }, intervalMilliseconds)
  timer.unref()
  return () => clearInterval(timer)
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
    const { ino, size, mtimeNs } = statSync(path, { bigint: true })
    return [`${path} ${ino} ${size} ${mtimeNs}`]
  } catch {
    return [`${path} unreadable`]
  }
}
