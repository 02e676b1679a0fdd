/** What a decoder found wrong with a header value: a sentence for the operator. */
export class DecodingError extends Error {
  override readonly name = 'DecodingError'
}

/**
 * How a product writes certificates into header values. A decoder is strict and canonical: what it did not expect is an error, never a
 * guess, because the next reader might guess otherwise.
 */
export interface HeaderDecoder {
  /** DER of the end entity, and of what follows it in the same value; undefined where the value is the product's way to say "none". */
  certificate(value: string): readonly Uint8Array[] | undefined
  /** DER of the certificates in a separate chain header: all of its lines. */
  chain?(lines: readonly string[]): readonly Uint8Array[]
}
