import { LruMap } from '../lru-map.js'

/** What a client came with: its certificate, who issued it (by public key), and its own key. */
export interface Appearance {
  readonly fingerprint: string
  readonly issuerFingerprint: string | undefined
  /** Milliseconds since 1970. */
  readonly notAfter: number
  /** SHA-256 of SubjectPublicKeyInfo: a CA whose certificate was renewed is the same issuer. */
  readonly issuerKey: string
  readonly key: string
}

export type Change = 'issuer' | 'key'

/** What is unusual about an appearance; undefined: nothing. */
export type Unusual =
  | { readonly type: 'first-seen'; readonly certain: boolean }
  | { readonly type: 'moved'; readonly changed: readonly Change[]; readonly former: Appearance }
  | undefined

interface Known {
  last: Appearance
  issuers: Several
  keys: Several
}

/** Those of a client, the oldest first. Most have one of each, and that needs no list. */
type Several = string | readonly string[]

const clients = 10_000
/** Of one client: replicas of a service have a key each, and a client that goes to and fro is told of once for each place. */
const remembered = 16

/** Which issuers and keys each client has come with, of as many clients as fit. */
export class ClientHistory {
  readonly #known: LruMap<string, Known>
  readonly #capacity: number
  #hasForgotten = false

  constructor(capacity = clients) {
    this.#known = new LruMap(capacity)
    this.#capacity = capacity
  }

  /** @param client see `clientNameOf` */
  meet(client: string, appearance: Appearance): Unusual {
    const known = this.#known.get(client)
    if (known === undefined) {
      const certain = !this.#hasForgotten
      if (this.#known.size === this.#capacity) this.#hasForgotten = true
      this.#known.set(client, { last: appearance, issuers: appearance.issuerKey, keys: appearance.key })
      return { type: 'first-seen', certain }
    }
    const changed: Change[] = []
    const issuers = withOne(known.issuers, appearance.issuerKey)
    const keys = withOne(known.keys, appearance.key)
    if (issuers !== known.issuers) changed.push('issuer')
    if (keys !== known.keys) changed.push('key')
    known.issuers = issuers
    known.keys = keys
    const former = known.last
    known.last = appearance
    return changed.length === 0 ? undefined : { type: 'moved', changed, former }
  }
}

/** The same, where the item is among them; else all of them and the item, the oldest left out where they are too many. */
function withOne(several: Several, item: string): Several {
  const list = typeof several === 'string' ? [several] : several
  return list.includes(item) ? several : [...list, item].slice(-remembered)
}
