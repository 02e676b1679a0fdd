/** How `+`, `/` and `=` were written in a percent-encoded text; undefined where there was none. */
export interface Escapes {
  readonly slash: 'escaped' | 'literal' | 'both' | undefined
  readonly equals: 'escaped' | 'literal' | 'both' | undefined
}

const PERCENT = 0x25
const LINE_FEED = 0x0a
const SPACE = 0x20
const PLUS = 0x2b
const SLASH = 0x2f
const EQUALS = 0x3d

/**
 * Undoes percent-encoding of PEM in one pass, and reports how it was done; undefined where it holds what no product writes: an escape of a
 * character that needs none, lower-case hexadecimal, a character as it is that cannot stand in a header's PEM. Of PEM's characters only line
 * feed, space, `+`, `/` and `=` are ever escaped, the first two always.
 */
export function unescapePem(value: string): { readonly text: string; readonly escapes: Escapes } | undefined {
  const octets = Buffer.allocUnsafe(value.length)
  let length = 0
  // Bits: 1 was escaped, 2 stood as it is.
  let slash = 0
  let equals = 0
  for (let at = 0; at < value.length; at++) {
    let code = value.charCodeAt(at)
    let how = 2
    if (code === PERCENT) {
      code = escapedCode(value.charCodeAt(at + 1), value.charCodeAt(at + 2))
      how = 1
      at += 2
    }
    if (code === PLUS || code === SLASH) slash |= how
    else if (code === EQUALS) equals |= how
    else if (code === LINE_FEED || code === SPACE ? how !== 1 : how !== 2 || !isUnreserved(code)) return undefined
    octets[length++] = code
  }
  return { text: octets.toString('latin1', 0, length), escapes: { slash: names[slash], equals: names[equals] } }
}

const names = [undefined, 'escaped', 'literal', 'both'] as const

/** The character of one of the five escapes, or one that is refused. */
function escapedCode(high: number, low: number): number {
  const ZERO = 0x30
  const TWO = 0x32
  const THREE = 0x33
  if (high === TWO) return low === 0x42 ? PLUS : low === 0x46 ? SLASH : low === ZERO ? SPACE : 0
  if (high === ZERO && low === 0x41) return LINE_FEED
  return high === THREE && low === 0x44 ? EQUALS : 0
}

/** RFC 3986 §2.3. */
const isUnreserved = (code: number) =>
  (code >= 0x61 && code <= 0x7a) ||
  (code >= 0x41 && code <= 0x5a) ||
  (code >= 0x30 && code <= 0x39) ||
  code === 0x2d ||
  code === 0x2e ||
  code === 0x5f ||
  code === 0x7e
