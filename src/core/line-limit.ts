import { LruMap } from '../lru-map.js'

const intervalMilliseconds = 10_000
/** Subjects are what strangers invent: of one code no more lines than this in an interval, whatever they are about. */
const linesOfCode = 10
const subjects = 1_000

/** Lets through one line per code and subject in ten seconds, and ten per code. Its memory is bounded. */
export class LineLimit {
  readonly #last = new LruMap<string, { at: number; left: number }>(subjects)
  readonly #codes = new Map<string, { at: number; lines: number; left: number }>()

  /** How many lines were left out before this one; undefined where this one is left out too. */
  admit(code: string, subject: string, at: number): number | undefined {
    const isRecent = (mark: { at: number } | undefined) =>
      mark !== undefined && at >= mark.at && at < mark.at + intervalMilliseconds
    const key = `${code} ${subject}`
    const known = this.#last.get(key)
    if (known !== undefined && isRecent(known)) {
      known.left++
      return undefined
    }
    const former = this.#codes.get(code)
    const ofCode = former !== undefined && isRecent(former) ? former : { at, lines: 0, left: former?.left ?? 0 }
    this.#codes.set(code, ofCode)
    if (ofCode.lines === linesOfCode) {
      ofCode.left++
      return undefined
    }
    const left = (known?.left ?? 0) + ofCode.left
    ofCode.lines++
    ofCode.left = 0
    this.#last.set(key, { at, left: 0 })
    return left
  }
}

/** The line as it is written, with the number of those that were not. */
export const withLeftOut = (line: string, left: number): string =>
  left === 0 ? line : `${line} (and ${left} more like it)`
