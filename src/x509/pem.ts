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
export function parsePem(text: string, options?: PemOptions): PemBlock[] {
  const reader = new PemReader(text, options)
  const blocks: PemBlock[] = []
  for (let block = reader.next(); block !== undefined; block = reader.next()) blocks.push(block)
  return blocks
}

export interface PemOptions {
  comments?: boolean
  /** All octets lie side by side in memory that nothing else has, for what is kept long. */
  apart?: boolean
}

/** The same block by block, for those who use each while it is near. */
export class PemReader {
  readonly #text: string
  readonly #comments: boolean
  readonly #isAscii: boolean
  readonly #memory: Buffer
  #used = 0
  #at = 0
  #line = 1

  constructor(text: string, { comments = false, apart = false }: PemOptions = {}) {
    this.#text = text
    this.#comments = comments
    this.#isAscii = Buffer.byteLength(text) === text.length
    // Zeros: whoever gets a block gets at what lies behind it.
    this.#memory = apart ? Buffer.alloc(octetsIn(bodiesOf(text))) : Buffer.allocUnsafe(octetsIn(text.length))
  }

  /** The next block; undefined at the end. Throws {@link PemError}. */
  next(): PemBlock | undefined {
    const text = this.#text
    while (this.#at < text.length) {
      const label = labelAt(begin, text, this.#at)
      if (label !== undefined) return this.#block(label, begin.lastIndex)
      const stop = lineEnd(text, this.#at)
      checkBetween(text.slice(this.#at, stop), this.#line, this.#comments)
      this.#at = stop + 1
      this.#line++
    }
    return undefined
  }

  #block(label: string, from: number): PemBlock {
    const text = this.#text
    const line = this.#line
    const close = text.indexOf('-----', from)
    if (close < 0) throw new PemError(`${label} is cut off: there is no END line`, line)
    const body = text.slice(from, close)
    const start = this.#used
    const octets = this.#isAscii ? decodeUsual(body, this.#memory, start) : undefined
    const lines = octets === undefined ? body.split('\n').length - 1 : Math.ceil(body.length / usualLine)
    checkEnd(text, close, label, line, line + 1 + lines)
    this.#at = end.lastIndex
    this.#line += lines + 2
    this.#used += octets ?? this.#decode(body, label, line)
    return { label, bytes: this.#memory.subarray(start, this.#used), line }
  }

  /** Whatever else a body may be. */
  #decode(body: string, label: string, line: number): number {
    const bytes = decodeBody(body, label, line)
    this.#memory.set(bytes, this.#used)
    return bytes.length
  }
}

/** As many octets as so many characters of base64 make at most. */
const octetsIn = (characters: number) => Math.ceil((characters * 3) / 4)

/** Characters of all blocks, and of nothing between them: comments may be longer than what they are about. */
function bodiesOf(text: string): number {
  let characters = 0
  for (let from = text.indexOf('-----BEGIN '); from >= 0; from = text.indexOf('-----BEGIN ', from)) {
    const to = text.indexOf('-----END ', from)
    if (to < 0) return characters + text.length - from
    characters += to - from
    from = to
  }
  return characters
}

const begin = /-----BEGIN ([A-Z0-9 ]+)-----[ \t]*(?:\r?\n|$)/y
const end = /-----END ([A-Z0-9 ]+)-----[ \t]*(?:\r?\n|$)/y
const usual = new Map([
  [begin, '-----BEGIN CERTIFICATE-----\n'],
  [end, '-----END CERTIFICATE-----\n'],
])

/** The label of the line at `at`, after which `lastIndex` is the beginning of the next one; undefined where it is another line. */
function labelAt(boundary: RegExp, text: string, at: number): string | undefined {
  const line = usual.get(boundary) as string
  if (text.startsWith(line, at)) {
    boundary.lastIndex = at + line.length
    return 'CERTIFICATE'
  }
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

/** 64 characters and a line feed. */
const usualLine = 65

/**
 * A body as nearly all are, in lines of 64 characters: decoded into `memory` at `at`; undefined where another look says what it is.
 *
 * `Buffer` skips what is no base64, line feeds among it. It has found nothing else if as many octets come out as the characters make: it reads
 * base64url too, and ignores pad bits, which is looked at here. Characters beyond ASCII it takes for their low octets: this is for text without any.
 */
function decodeUsual(body: string, memory: Buffer, at: number): number | undefined {
  const lines = Math.ceil(body.length / usualLine)
  for (let i = usualLine - 1; i < body.length - 1; i += usualLine) if (body.charCodeAt(i) !== lineFeed) return undefined
  // Nor is there a blank line at the end.
  if (body.length % usualLine === 1 || body.charCodeAt(body.length - 1) !== lineFeed) return undefined
  const characters = body.length - lines
  const padding = body.endsWith('==\n') ? 2 : body.endsWith('=\n') ? 1 : 0
  const octets = (characters / 4) * 3 - padding
  if (characters % 4 !== 0 || memory.write(body, at, 'base64') !== octets) return undefined
  if (body.includes('-') || body.includes('_')) return undefined
  if (padding === 0) return octets
  const last = memory.toString('base64', at + octets + padding - 3, at + octets)
  return body.endsWith(`${last}\n`) ? octets : undefined
}

const lineFeed = 0x0a

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
