/**
 * A SPIFFE ID (SPIFFE-ID §2): `spiffe://trust-domain/path`. Only the one canonical spelling is accepted: lower-case trust domain, no port, no
 * user, no percent-encoding, no empty or dot segment.
 *
 * @example
 * SpiffeId.parse('spiffe://acme.test/billing/api').trustDomain // 'acme.test'
 */
export class SpiffeId {
  readonly trustDomain: string
  /** Empty, or `/` and segments. */
  readonly path: string

  private constructor(trustDomain: string, path: string) {
    this.trustDomain = trustDomain
    this.path = path
    Object.freeze(this)
  }

  /** The identifier a text is, or undefined where it is none. */
  static from(text: string): SpiffeId | undefined {
    if (text.length > 2048) return undefined
    const parts = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/.exec(text)
    if (parts === null) return undefined
    const [, trustDomain, path] = parts as unknown as [string, string, string]
    if (path.split('/').some((segment) => segment === '.' || segment === '..')) return undefined
    return new SpiffeId(trustDomain, path)
  }

  /** Throws {@link SyntaxError} where the text is no SPIFFE ID. */
  static parse(text: string): SpiffeId {
    const id = SpiffeId.from(text)
    if (id === undefined)
      throw new SyntaxError(`${JSON.stringify(text)} is not a SPIFFE ID (spiffe://trust-domain/path)`)
    return id
  }

  equals(other: SpiffeId): boolean {
    return this.trustDomain === other.trustDomain && this.path === other.path
  }

  toString(): string {
    return `spiffe://${this.trustDomain}${this.path}`
  }

  toJSON(): string {
    return this.toString()
  }
}
