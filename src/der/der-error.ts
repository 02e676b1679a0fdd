import { muteStack } from '../stack.js'

/** What a DER reader found wrong, and where. Parsers above turn it into a refusal; it never reaches a caller. */
export class DerError extends Error {
  override readonly name = 'DerError'
  /** Offset into the octets the reader was made over. */
  readonly offset: number

  constructor(reason: string, offset: number) {
    const unmute = muteStack()
    super(reason)
    unmute()
    this.offset = offset
  }
}
