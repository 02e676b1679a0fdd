/** One encapsulated structure of RFC 7468. */
export interface PemBlock {
  readonly label: string
  readonly bytes: Uint8Array
  /** Line of its BEGIN, counted from 1. */
  readonly line: number
}

/** What is wrong with PEM text: a sentence for the operator, and the line. */
export class PemError extends Error {
  override readonly name = 'PemError'
  readonly line: number

  constructor(reason: string, line: number) {
    super(reason)
    this.line = line
  }
}

/**
 * Reads PEM text strictly (RFC 7468 §3): BEGIN and END lines with equal labels, canonical base64 between, nothing else inside. Between
 * blocks only blank lines are allowed, and lines that start with `#` when `comments` says so. LF and CRLF both end a line.
 *
 * Explanatory text is refused, not skipped: a truncated BEGIN line would otherwise make a certificate vanish without a word.
 */
export function parsePem(text: string, { comments = false }: { comments?: boolean } = {}): PemBlock[] {
  const blocks: PemBlock[] = []
  let at = 0
  let line = 1
  while (at < text.length) {
    const label = labelAt(begin, text, at)
    if (label === undefined) {
      const stop = lineEnd(text, at)
      checkBetween(text.slice(at, stop), line, comments)
      at = stop + 1
      line++
      continue
    }
    const from = begin.lastIndex
    const close = text.indexOf('-----', from)
    if (close < 0) throw new PemError(`${label} is cut off: there is no END line`, line)
    const body = text.slice(from, close)
    const unbroken = body.replaceAll('\n', '')
    const lines = body.length - unbroken.length
    checkEnd(text, close, label, line, line + 1 + lines)
    blocks.push({ label, bytes: decodeUsual(body, unbroken) ?? decodeBody(body, label, line), line })
    at = end.lastIndex
    line += lines + 2
  }
  return blocks
}

const begin = /-----BEGIN ([A-Z0-9 ]+)-----[ \t]*(?:\r?\n|$)/y
const end = /-----END ([A-Z0-9 ]+)-----[ \t]*(?:\r?\n|$)/y

function labelAt(boundary: RegExp, text: string, at: number): string | undefined {
  boundary.lastIndex = at
  return boundary.exec(text)?.[1]
}

/** The block ends where its dashes are: in an END line of its own, with its label. */
function checkEnd(text: string, close: number, label: string, line: number, closeLine: number): void {
  const closing = labelAt(end, text, close)
  if (closing === label && text[close - 1] === '\n') return
  if (closing !== undefined && closing !== label) throw new PemError(`END ${closing} closes BEGIN ${label}`, closeLine)
  const inner = labelAt(begin, text, close)
  if (inner !== undefined) throw new PemError(`BEGIN ${inner} inside ${label}`, closeLine)
  throw new PemError(`${label} is cut off: there is no END line`, line)
}

function checkBetween(text: string, line: number, comments: boolean): void {
  const stray = /^-----END ([A-Z0-9 ]+)-----\s*$/.exec(text)?.[1]
  if (stray !== undefined) throw new PemError(`END ${stray} without its BEGIN`, line)
  if (text.trim() === '' || (comments && text.startsWith('#'))) return
  throw new PemError(
    text.includes('-----BEGIN') ? 'a BEGIN line has something else on it' : 'text outside of a block',
    line,
  )
}

const lineEnd = (text: string, from: number) => {
  const found = text.indexOf('\n', from)
  return found < 0 ? text.length : found
}

/** A body of nothing but base64 and the ends of its lines, as nearly all are; undefined where another look says what else it is. */
function decodeUsual(body: string, unbroken: string): Uint8Array | undefined {
  if (unbroken === '' || body.startsWith('\n') || body.includes('\n\n')) return undefined
  return decodeBase64(unbroken)
}

function decodeBody(body: string, label: string, line: number): Uint8Array {
  if (body.includes(':')) throw new PemError(`${label} has encapsulated headers; certificates have none`, line)
  if (/(?:^|\n)[ \t]*\r?\n/.test(body)) throw new PemError(`a blank line inside ${label}`, line)
  // A run of blanks is tried from its beginning only: from each of its n places it would take n² steps. Most files have none.
  const text = /[ \t\r]/.test(body) ? body.replace(/(?<![ \t])[ \t]*\r?\n/g, '') : body.replaceAll('\n', '')
  const bytes = decodeBase64(text)
  if (bytes === undefined) throw new PemError(`${label} is not base64`, line)
  if (bytes.length === 0) throw new PemError(`${label} is empty`, line)
  return bytes
}

/**
 * Canonical base64 (RFC 4648 §4: standard alphabet, padded, zero pad bits), or undefined. `Buffer.from` skips what it does not know and
 * reads base64url, so what it returns is encoded again and compared.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}

/** PEM text of one block, 64 characters a line. */
export function formatPem(label: string, bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
  let text = `-----BEGIN ${label}-----\n`
  for (let at = 0; at < base64.length; at += 64) text += `${base64.slice(at, at + 64)}\n`
  return `${text}-----END ${label}-----\n`
}
