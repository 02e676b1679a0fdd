import { openChannel } from './event-channels.js'
import { asError } from './stack.js'

/** What a reload came to. After a failed one the former certificates stay. */
export type ReloadResult =
  | { readonly ok: true; readonly generation: number; readonly anchorCount: number }
  | { readonly ok: false; readonly error: Error }

/** What came of reading again what an operator named. After a failed reload, what was read before holds. */
export type ReloadEvent = {
  /** What was read: paths as the operator wrote them, or the label of a provider. */
  readonly source: string
  /** True once it is older than `maxStaleness`, and refuses everybody. */
  readonly stale: boolean
} & (
  | ({
      /** A `TrustStore` is `'trust'` wherever it is used. */
      readonly kind: 'trust' | 'intermediates'
    } & ReloadResult)
  | ({
      /** Rule documents, `listed()`, `exceptions`, the file of `proxySecret()`, the server's own key and certificate. */
      readonly kind: 'rules' | 'listed' | 'exceptions' | 'proxy-secrets' | 'credentials'
      readonly stale: false
    } & ({ readonly ok: true; readonly generation: number } | { readonly ok: false; readonly error: Error }))
)

/** Hears a {@link ReloadEvent} whenever something was read again, or could not be. */
export const reloadChannel = openChannel<ReloadEvent>('reload')

export function publishReload(event: ReloadEvent): void {
  if (reloadChannel.hasSubscribers) reloadChannel.publish(Object.freeze(event))
}

type WatchedKind = Exclude<ReloadEvent['kind'], 'trust' | 'intermediates'>

/** Of what has no age: counts what took effect, and says what did not. */
export class ReloadNews {
  readonly #kind: WatchedKind
  readonly #source: string
  #generation = 0

  constructor(kind: WatchedKind, source: string) {
    this.#kind = kind
    this.#source = source
  }

  /** How often something new took effect: what was decided with a former generation is decided anew. */
  get generation(): number {
    return this.#generation
  }

  /** Something new has taken effect. */
  loaded(): void {
    this.#generation++
    const [kind, source, generation] = [this.#kind, this.#source, this.#generation]
    publishReload({ kind, source, stale: false, ok: true, generation })
  }

  failed(error: unknown): void {
    const [kind, source] = [this.#kind, this.#source]
    publishReload({
      kind,
      source,
      stale: false,
      ok: false,
      error: asError(error),
    })
  }
}
