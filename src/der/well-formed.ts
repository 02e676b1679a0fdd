import { limits } from '../limits.js'
import { checkBitString, checkBoolean, checkInteger, checkNull } from './contents.js'
import { DerError, DerReader, Tag } from './reader.js'

/** An element that has been read, as a place: its contents are `bytes[start..end)`. */
type Element = Pick<DerReader, 'tag' | 'bytes' | 'start' | 'end'>

/**
 * Walks a value of a type we do not know, to whatever depth is allowed, without recursion: every element must be
 * well-formed DER. Used where a standard says ANY.
 */
export function checkWellFormed(bytes: Uint8Array, start = 0, end = bytes.length): void {
  const open: DerReader[] = [new DerReader(bytes, start, end)]
  for (let reader = open.at(-1); reader !== undefined; reader = open.at(-1)) {
    if (reader.peek() === -1) {
      open.pop()
      continue
    }
    reader.next()
    checkUniversal(reader)
    if ((reader.tag & 0x20) === 0) continue
    if (open.length > limits.derDepth) throw new DerError('nesting is too deep', reader.start)
    open.push(reader.inside())
  }
}

/** The same of one element whose header has been read. */
export function checkElement(element: Element): void {
  checkUniversal(element)
  if ((element.tag & 0x20) !== 0) checkWellFormed(element.bytes, element.start, element.end)
}

/** The universal types that are made of elements: EXTERNAL, EMBEDDED PDV, SEQUENCE, SET, unrestricted CHARACTER STRING. */
const structures: ReadonlySet<number> = new Set([8, 11, 16, 17, 29])

/** What can be said of a universal type without knowing what it is for. Strings in pieces are BER (X.690 §10.2), and 0 is no type (§8.1.5). */
function checkUniversal({ tag, bytes, start, end }: Element): void {
  if ((tag & 0xc0) !== 0) return
  const isConstructed = (tag & 0x20) !== 0
  if (tag === 0 || isConstructed !== structures.has(tag & 0x1f)) {
    throw new DerError(`tag 0x${tag.toString(16).padStart(2, '0')} occurs in no DER`, start)
  }
  switch (tag) {
    case Tag.boolean:
      checkBoolean(bytes, start, end)
      break
    case Tag.integer:
    case Tag.enumerated:
      checkInteger(bytes, start, end)
      break
    case Tag.bitString:
      checkBitString(bytes, start, end)
      break
    case Tag.null:
      checkNull(start, end)
  }
}
