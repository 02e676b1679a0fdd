import { inTime } from '../deadline.js'
import { type AnyClientCertError, asInternal, deny } from '../errors.js'
import type { ClientIdentity, Principal } from '../identity/identity.js'
import { LruMap } from '../lru-map.js'
import { normalizeMailbox, normalizeUri } from '../rules/alternative-name-matchers.js'
import { isThenable } from '../thenable.js'
import type { Epoch } from './decision-memory.js'

/** Which name of a certificate is the client's, where there is exactly one of it. */
export type PrincipalSource = 'spiffe' | 'uri' | 'dns' | 'email' | 'upn' | 'commonName'

export type Resolve = (identity: ClientIdentity) => Principal | undefined | Promise<Principal | undefined>

/** What an application calls a client, and until when that holds: milliseconds since 1970. */
export interface KnownPrincipal {
  readonly principal: Principal
  readonly until: number
}

/** @internal */
export const principalSources: { readonly [S in PrincipalSource]: (identity: ClientIdentity) => readonly string[] } = {
  spiffe: ({ spiffeId }) => (spiffeId === undefined ? [] : [spiffeId.toString()]),
  // What the standards compare without regard to case becomes one spelling, so that a client has one name.
  uri: ({ names }) => names.uri.map(normalizeUri),
  dns: ({ names }) => names.dns.map((name) => name.toLowerCase()),
  email: ({ names }) => names.email.map(normalizeMailbox),
  upn: ({ names }) => names.upn,
  commonName: ({ subject }) => subject.all('CN'),
}

/** Milliseconds until a `resolve` that does not answer is given up: the request is refused as an internal error. */
const resolveMilliseconds = 10_000
const principals = 10_000

/**
 * The application's word for an identity: asked once for each certificate, way it came and generation of what it was verified with, also where
 * many requests come at once, and again when `lifetime` is over. What is no principal is not remembered.
 */
export class PrincipalMemory {
  readonly #resolve: Resolve
  /** Milliseconds. */
  readonly lifetime: number
  readonly #known = new LruMap<string, { readonly asked: number; readonly answer: Promise<Principal> }>(principals)

  constructor(resolve: Resolve, lifetime: number) {
    this.#resolve = resolve
    this.lifetime = lifetime
  }

  async of(identity: ClientIdentity, epoch: Epoch, at: number): Promise<KnownPrincipal> {
    const { trust, intermediates, revocation, rules } = epoch
    const generation = [trust.generation, intermediates?.generation, revocation, rules].join()
    const { via, fingerprint, anchor } = identity
    // The anchor too: which one vouches may depend on what the client sends, and resolve() may ask.
    const key = `${via} ${fingerprint} ${anchor.fingerprint} ${anchor.name ?? ''} ${generation}`
    const known = this.#known.get(key)
    if (known !== undefined && at >= known.asked && at < known.asked + this.lifetime) {
      return { principal: await known.answer, until: this.#end(known.asked) }
    }
    const answer = this.#ask(identity)
    const entry = { asked: at, answer }
    this.#known.set(key, entry)
    try {
      return { principal: await answer, until: this.#end(at) }
    } catch (error) {
      if (this.#known.get(key) === entry) this.#known.delete(key)
      throw error
    }
  }

  /** The last millisecond of an answer that was asked for at `asked`. */
  #end(asked: number): number {
    return asked + Math.max(0, this.lifetime - 1)
  }

  async #ask(identity: ClientIdentity): Promise<Principal> {
    const principal = await this.#answer(identity)
    // `allowed.has(…)` and `found && partner` are what people write: false and its like are nobody.
    if (!principal) throw nobody(identity)
    return principal
  }

  /** What goes wrong in the application's own function is not a bug of ours. */
  async #answer(identity: ClientIdentity): Promise<Principal | undefined> {
    try {
      const answer = this.#resolve(identity)
      return isThenable(answer) ? await inTime(answer, resolveMilliseconds) : answer
    } catch (thrown) {
      throw asInternal(thrown, 'resolve()', 'yes')
    }
  }
}

/** The only name of a form. None, and a second one, are nobody: which of them it is, no order of a certificate says. */
export function onlyName(identity: ClientIdentity, source: PrincipalSource): string {
  const found = principalSources[source](identity)
  const [only] = found
  if (found.length === 1 && only !== undefined && only !== '') return only
  const form = source === 'spiffe' ? 'SPIFFE ID' : `${source} name`
  throw nobody(
    identity,
    found.length === 0 ? `it has no ${form}` : `it has ${found.length} names of the form ${source}`,
  )
}

function nobody(identity: ClientIdentity, reason?: string): AnyClientCertError {
  const detail = { subject: identity.subject.toString(), fingerprint: identity.fingerprint }
  return deny('ERR_CLIENT_CERT_PRINCIPAL', { ...detail, ...(reason === undefined ? {} : { reason }) }, { depth: 0 })
}
