import { quote } from '../help.js'
import { LruMap } from '../lru-map.js'
import type { Decision } from './decision.js'

/** Gets one line for every refusal: `mtls-identity CODE: fact — fix`. */
export type LogFunction = (line: string, decision: Decision) => void

const intervalMilliseconds = 10_000
/** Issuers are names that strangers invent: of one code no more lines than this in an interval, whatever they are about. */
const linesOfCode = 10
const subjects = 1_000

/** The operator's line for a refusal; undefined for an acceptance. Safe to print: what came from a peer is escaped and bounded. */
export function lineFor(decision: Decision): string | undefined {
  if (decision.outcome === 'accepted') return undefined
  const { code, help } = decision.error
  return `mtls-identity ${decision.enforced ? '' : '(report-only) '}${code}: ${help}`
}

/** Writes lines to stderr, one per code and issuer in ten seconds; the next one says how many were left out. */
export function stderrLog(): LogFunction {
  const last = new LruMap<string, { at: number; left: number }>(subjects)
  const codes = new Map<string, { at: number; lines: number; left: number }>()
  return (line, decision) => {
    const at = decision.decidedAt.getTime()
    const isRecent = (mark: { at: number } | undefined) =>
      mark !== undefined && at >= mark.at && at < mark.at + intervalMilliseconds
    const key = keyOf(decision)
    const known = last.get(key)
    if (known !== undefined && isRecent(known)) {
      known.left++
      return
    }
    const code = key.slice(0, key.indexOf(' '))
    const former = codes.get(code)
    const ofCode = former !== undefined && isRecent(former) ? former : { at, lines: 0, left: former?.left ?? 0 }
    codes.set(code, ofCode)
    if (ofCode.lines === linesOfCode) {
      ofCode.left++
      return
    }
    const left = (known?.left ?? 0) + ofCode.left
    ofCode.lines++
    ofCode.left = 0
    last.set(key, { at, left: 0 })
    process.stderr.write(left === 0 ? `${line}\n` : `${line} (and ${left} more like it)\n`)
  }
}

function keyOf(decision: Decision): string {
  if (decision.outcome === 'accepted') return 'accepted'
  const { code, detail } = decision.error
  const issuer = 'issuer' in detail ? detail.issuer : 'cause' in detail ? detail.cause : ''
  return `${code} ${quote(issuer)}`
}
