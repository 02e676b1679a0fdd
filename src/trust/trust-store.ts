import { type Description, shownNumber } from '../description.js'
import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import { readUnchanged, watchFiles } from '../file-watch.js'
import { type LoadContext, millisecondsOf, Refresher, reasonOf } from '../refresher.js'
import { publishReload, type ReloadResult } from '../reload-events.js'
import { asError } from '../stack.js'
import { warn } from '../warn.js'
import { readTrustPath } from './pem-files.js'
import { maxStalenessOf, Staleness } from './staleness.js'
import { parseBundle } from './trust-bundle.js'
import { anchorOf, TrustSnapshot } from './trust-snapshot.js'

export type { ReloadEvent, ReloadResult } from '../reload-events.js'

export type ReloadListener = (result: ReloadResult) => void

export interface TrustStoreOptions {
  /** `false`: the files are read once. */
  watch?: boolean
  /** How long the last good certificates are believed while what should replace them cannot be read: milliseconds, default a day. */
  maxStaleness?: number
}

/** What a provider resolves to: PEM text, one DER certificate, or several of either. */
export type TrustContent = string | Uint8Array | readonly (string | Uint8Array)[]

export interface TrustProviderOptions {
  /** Milliseconds from one load to the next. Default 300,000. */
  refresh?: number
  /** Milliseconds without a successful load after which the store refuses. Default 86,400,000, a day. */
  maxStaleness?: number
  /** Milliseconds after which one load is given up. Default 30,000. */
  timeout?: number
  /** What it is called in messages. Default `'provider'`. */
  label?: string
}

interface Recipe {
  label: string
  /** What it is for, as events say it. Default `'trust'`. */
  kind?: 'trust' | 'intermediates'
  load: () => TrustSnapshot
  stores?: readonly TrustStore[]
  /** Those that are watched. */
  files?: readonly string[]
  /** It has files, and reads them once. */
  isReadOnce?: boolean
  /** Milliseconds between two questions to a provider. */
  refresh?: number
  maxStaleness?: number | undefined
}

/**
 * The trust anchors an application believes, now: a snapshot that is replaced whole on a reload. Never holds the system's roots.
 * May be shared by several authenticators; whoever makes it closes it.
 *
 * What cannot be read keeps the last good snapshot for `maxStaleness`; then the store is unusable, and authenticators answer 503
 * (`ERR_CLIENT_CERT_NOT_READY`) until it can be read again.
 *
 * @example
 * const store = TrustStore.load('./clients-ca.pem')
 * const auth = createAuthenticator({ trust: store, revocation: 'none' })
 */
export class TrustStore {
  readonly label: string
  readonly #kind: 'trust' | 'intermediates'
  #load: () => TrustSnapshot
  readonly #listeners = new Set<ReloadListener>()
  readonly #release: (() => void)[] = []
  readonly #stores: readonly TrustStore[]
  readonly #staleness: Staleness
  readonly #watch: boolean | undefined
  readonly #refresh: number | undefined
  #refresher: Refresher<TrustContent> | undefined
  #snapshot: TrustSnapshot
  #failure: Error | undefined
  #loaded = true
  #readAt = Date.now()

  private constructor({
    label,
    kind = 'trust',
    load,
    stores = [],
    files = [],
    isReadOnce,
    refresh,
    maxStaleness,
  }: Recipe) {
    this.label = label
    this.#kind = kind
    this.#watch = files.length > 0 ? true : isReadOnce ? false : undefined
    this.#refresh = refresh
    this.#load = files.length === 0 ? load : () => readUnchanged(files, load)
    this.#stores = stores
    this.#staleness = new Staleness(maxStaleness, () => this.#aged())
    // Watched before they are read: what changes in between is read again.
    for (const store of stores) this.#release.push(store.onReload((result) => result.ok && this.#reloadUnasked()))
    if (files.length > 0) this.#release.push(watchFiles(files, () => this.#reloadUnasked()))
    try {
      this.#snapshot = this.#load()
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** A store of PEM text (one certificate or many) or one DER certificate, all or nothing. Throws {@link ClientCertConfigError}. */
  static parse(content: string | Uint8Array): TrustStore {
    const snapshot = snapshotOf('TrustStore.parse', content)
    return new TrustStore({ label: 'PEM or DER', load: () => snapshot })
  }

  /**
   * A store of files and directories (`.pem .crt .cer .der`), read now and watched for changes. Throws {@link ClientCertConfigError} that
   * names the file, the block and the fix.
   *
   * @param paths one path or several
   */
  static load(paths: string | readonly string[], options: TrustStoreOptions = {}): TrustStore {
    const where = 'TrustStore.load'
    refuseUnknownOptions(where, options, ['watch', 'maxStaleness'])
    const { watch = true, maxStaleness } = options
    const list = typeof paths === 'string' ? [paths] : [...paths]
    if (list.length === 0) throw new ClientCertConfigError(`${where}: no path — name the CA of your clients`)
    const load = () => {
      const files = list.flatMap((path) => readTrustPath(where, path))
      const certificates = files.flatMap(({ path, bytes }) => parseBundle(`${where}: ${path}`, bytes, 'anchors'))
      return new TrustSnapshot(certificates.map((certificate) => anchorOf(certificate)))
    }
    return new TrustStore({
      label: list.join(', '),
      load,
      files: watch ? list : [],
      isReadOnce: !watch,
      maxStaleness,
    })
  }

  /**
   * A store of what a secret manager or another service says: `load` is asked now, and every `refresh` milliseconds. A load that fails, takes
   * too long or does not parse whole keeps what was, and is tried again after 1, 2, 4, … seconds. Until the first one has succeeded,
   * authenticators answer 503; `ready()` waits for it.
   *
   * @example
   * const store = TrustStore.from(async ({ signal }) => (await fetch(url, { signal })).text(), { refresh: 60_000 })
   * await store.ready()
   */
  static from(
    load: (context: LoadContext) => TrustContent | Promise<TrustContent>,
    options: TrustProviderOptions = {},
  ): TrustStore {
    const where = 'TrustStore.from'
    if (typeof load !== 'function')
      throw new ClientCertConfigError(`${where}: the first argument is a function that resolves to PEM or DER`)
    refuseUnknownOptions(where, options, ['refresh', 'maxStaleness', 'timeout', 'label'])
    const { refresh = 300_000, maxStaleness, timeout = 30_000, label = 'provider' } = options
    const refreshMilliseconds = millisecondsOf(`${where}: refresh`, refresh, 1_000)
    const timeoutMilliseconds = millisecondsOf(`${where}: timeout`, timeout, 1)
    const maximum = maxStalenessOf(`${where}: maxStaleness`, maxStaleness)
    if (maximum <= refreshMilliseconds)
      throw new ClientCertConfigError(`${where}: maxStaleness (${maximum}) must be longer than refresh (${refresh})`)
    const empty = new TrustSnapshot([])
    const store = new TrustStore({ label, load: () => empty, refresh, maxStaleness })
    store.#loaded = false
    store.#refresher = new Refresher({
      label: `${where}: ${label}`,
      load,
      apply: (content) => store.#take(snapshotOf(`${where}: ${label}`, content), true),
      failed: (error) => store.#settle({ ok: false, error }, true),
      refreshMilliseconds,
      timeoutMilliseconds,
    })
    return store
  }

  /** @internal What an authenticator's `trust` and `intermediates` options become. */
  static assemble(recipe: Recipe): TrustStore {
    return new TrustStore(recipe)
  }

  /** The certificates trusted at this moment. */
  current(): TrustSnapshot {
    return this.#snapshot
  }

  /** Why this store must not be believed now: nothing was loaded yet, or what was is too old. Undefined where it may. */
  get unusable(): string | undefined {
    const isGood = this.#loaded && !this.#staleness.isOver
    // Asked twice on every request.
    if (isGood && this.#stores.length === 0) return undefined
    for (const store of this.#stores) {
      const reason = store.unusable
      if (reason !== undefined) return reason
    }
    if (isGood) return undefined
    const why = this.#failure === undefined ? '' : `: ${reasonOf(this.#failure)}`
    return this.#loaded
      ? `the certificates of ${this.label} are older than maxStaleness${why}`
      : `${this.label} is not loaded yet${why}`
  }

  /** When it was last read well, in milliseconds since 1970; of several stores the one for which that is longest ago. Undefined before a first load. */
  get readAt(): number | undefined {
    if (!this.isLoaded) return undefined
    return this.#stores.reduce((first, { readAt }) => Math.min(first, readAt ?? first), this.#readAt)
  }

  /** Whether it could not be read when it was tried last, so that something older holds. */
  get isFailing(): boolean {
    return this.#failure !== undefined || this.#stores.some((store) => store.isFailing)
  }

  /** @internal Whether it holds what it was made to hold; a provider does so after its first load. */
  get isLoaded(): boolean {
    return this.#loaded && this.#stores.every((store) => store.isLoaded)
  }

  /** Resolves when the store may be believed; rejects with the reason where it cannot be for now. */
  async ready(): Promise<void> {
    for (const store of this.#stores) await store.ready()
    await this.#refresher?.ready()
    if (this.unusable !== undefined) throw new ClientCertConfigError(this.unusable, { cause: this.#failure })
  }

  /**
   * Reads the sources again. What does not parse whole changes nothing; the result says why, and listeners hear it. A provider is asked by
   * {@link refresh} instead; here it says what its last load came to.
   */
  reload(): ReloadResult {
    if (this.#refresher !== undefined) {
      void this.refresh()
      return this.#result()
    }
    return this.#reload(false)
  }

  /** Reads the sources again, or asks the provider; resolves when listeners have heard what came of it. */
  async refresh(): Promise<ReloadResult> {
    if (this.#refresher === undefined) return this.reload()
    const error = await this.#refresher.refresh()
    return error === undefined ? this.#result() : { ok: false, error }
  }

  /** Calls `listener` after every reload; returns what stops it. */
  onReload(listener: ReloadListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** How its certificates are kept up to date; `watch` is there where it has files. Which they are, {@link current} says. */
  describe(): Description {
    return {
      kind: 'TrustStore',
      where: { label: this.label },
      watch: this.#watch,
      refreshMilliseconds: this.#refresh,
      maxStalenessMilliseconds: shownNumber(this.#staleness.maximum),
      stores: this.#stores.map((store) => store.describe()),
    }
  }

  /** Stops watching and asking. The certificates stay. */
  close(): void {
    for (const release of this.#release.splice(0)) release()
    this.#refresher?.close()
    this.#staleness.stop()
    this.#listeners.clear()
  }

  #reload(unasked: boolean): ReloadResult {
    let snapshot: TrustSnapshot
    try {
      snapshot = this.#load()
    } catch (error) {
      return this.#settle({ ok: false, error: asError(error) }, unasked)
    }
    return this.#take(snapshot, unasked)
  }

  #take(snapshot: TrustSnapshot, unasked: boolean): ReloadResult {
    // The same certificates again are no reason to decide about every client anew, unless somebody wants it.
    if (!unasked || !this.#loaded || snapshot.digest !== this.#snapshot.digest) this.#snapshot = snapshot
    this.#loaded = true
    this.#failure = undefined
    return this.#settle(this.#result(), false)
  }

  #result(): ReloadResult {
    if (this.#failure !== undefined) return { ok: false, error: this.#failure }
    const { generation, anchors } = this.#snapshot
    return { ok: true, generation, anchorCount: anchors.length }
  }

  /** Nobody called, so that nobody reads the result: a file that broke is said aloud, once while it stays as it is. */
  #reloadUnasked(): boolean {
    return this.#reload(true).ok
  }

  #settle(result: ReloadResult, unasked: boolean): ReloadResult {
    const isRepeated = unasked && !result.ok && result.error.message === this.#failure?.message
    this.#failure = result.ok ? undefined : result.error
    if (result.ok) this.#readAt = Date.now()
    const settled = result.ok ? this.#result() : result
    this.#staleness.note(settled.ok, this.#refresher !== undefined)
    if (isRepeated) return settled
    if (unasked && !settled.ok) {
      const meanwhile = this.#loaded ? 'the former certificates hold' : 'nothing is loaded yet: everybody is refused'
      // Our own words begin with what they are about.
      const whose = settled.error instanceof ClientCertConfigError ? '' : `${this.label}: `
      warn('MTLS_RELOAD_FAILED', `${whose}${reasonOf(settled.error)} (${meanwhile})`)
    }
    this.#tell(settled)
    return settled
  }

  #tell(result: ReloadResult): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(result)
      } catch {
        // What an application's listener throws must not keep the next one, which may be another store, from hearing.
      }
    }
    publishReload({ ...result, kind: this.#kind, source: this.label, stale: this.#staleness.isOver })
  }

  #aged(): void {
    const error = this.#failure ?? new ClientCertConfigError(`${this.label}: was not loaded again in time`)
    this.#failure = error
    warn('MTLS_TRUST_STALE', `${this.unusable} (everybody is refused until it can be read)`)
    this.#tell({ ok: false, error })
  }
}

function snapshotOf(where: string, content: TrustContent): TrustSnapshot {
  const parts = typeof content === 'string' || content instanceof Uint8Array ? [content] : content
  if (!Array.isArray(parts) || parts.length === 0 || !parts.every(isContent)) {
    throw new ClientCertConfigError(
      `${where}: holds no certificate — PEM text, DER octets, or a list of these is expected`,
    )
  }
  const certificates = parts.flatMap((part) => parseBundle(where, part, 'anchors'))
  return new TrustSnapshot(certificates.map((certificate) => anchorOf(certificate)))
}

const isContent = (part: unknown): part is string | Uint8Array => typeof part === 'string' || part instanceof Uint8Array
