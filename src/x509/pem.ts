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
  let open: { label: string; line: number; body: string[] } | undefined
  let lineNumber = 0
  for (const line of linesOf(text)) {
    lineNumber++
    const boundary = /^-----(BEGIN|END) ([A-Z0-9 ]+)-----[ \t]*$/.exec(line)
    if (open === undefined) {
      if (boundary?.[1] === 'BEGIN') open = { label: boundary[2] as string, line: lineNumber, body: [] }
      else if (boundary !== null) throw new PemError(`END ${boundary[2]} without its BEGIN`, lineNumber)
      else if (!isBlank(line) && !(comments && line.startsWith('#'))) throw new PemError(describeJunk(line), lineNumber)
      continue
    }
    if (boundary === null) {
      if (isBlank(line)) throw new PemError(`a blank line inside ${open.label}`, lineNumber)
      open.body.push(line)
      continue
    }
    if (boundary[1] === 'BEGIN') throw new PemError(`BEGIN ${boundary[2]} inside ${open.label}`, lineNumber)
    if (boundary[2] !== open.label) throw new PemError(`END ${boundary[2]} closes BEGIN ${open.label}`, lineNumber)
    blocks.push({ label: open.label, bytes: decodeBody(open.body, open.label, open.line), line: open.line })
    open = undefined
  }
  if (open !== undefined) throw new PemError(`${open.label} is cut off: there is no END line`, open.line)
  return blocks
}

function* linesOf(text: string): Generator<string> {
  let from = 0
  while (from < text.length) {
    let to = text.indexOf('\n', from)
    if (to < 0) to = text.length
    yield text.charCodeAt(to - 1) === 13 && to > from ? text.slice(from, to - 1) : text.slice(from, to)
    from = to + 1
  }
}

const isBlank = (line: string) => line.trim() === ''

function describeJunk(line: string): string {
  if (line.includes('-----BEGIN')) return 'a BEGIN line has something else on it'
  return 'text outside of a block'
}

function decodeBody(lines: readonly string[], label: string, line: number): Uint8Array {
  const headers = lines.find((body) => body.includes(':'))
  if (headers !== undefined) throw new PemError(`${label} has encapsulated headers; certificates have none`, line)
  const base64 = lines.map((body) => body.trimEnd()).join('')
  const bytes = decodeBase64(base64)
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
  return `-----BEGIN ${label}-----\n${base64.replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`
}
