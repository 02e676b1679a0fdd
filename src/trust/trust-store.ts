import { ClientCertConfigError } from '../errors.js'
import { watchFiles } from '../file-watch.js'
import { readTrustPath } from './pem-files.js'
import { parseBundle } from './trust-bundle.js'
import { TrustSnapshot } from './trust-snapshot.js'

/** What a reload came to. After a failed one the former certificates stay. */
export type ReloadResult =
  | { readonly ok: true; readonly generation: number; readonly anchorCount: number }
  | { readonly ok: false; readonly error: Error }

export type ReloadListener = (result: ReloadResult) => void

interface Recipe {
  label: string
  load: () => TrustSnapshot
  stores?: readonly TrustStore[]
  files?: readonly string[]
}

/**
 * The trust anchors an application believes, now: a snapshot that is replaced whole on a reload. Never holds the system's roots.
 * May be shared by several authenticators; whoever makes it closes it.
 *
 * @example
 * const store = TrustStore.load('./clients-ca.pem')
 * const auth = createAuthenticator({ trust: store, revocation: 'none' })
 */
export class TrustStore {
  readonly label: string
  readonly #load: () => TrustSnapshot
  readonly #listeners = new Set<ReloadListener>()
  readonly #release: (() => void)[] = []
  #snapshot: TrustSnapshot

  private constructor({ label, load, stores = [], files = [] }: Recipe) {
    this.label = label
    this.#load = load
    // Watched before they are read: what changes in between is read again.
    for (const store of stores) this.#release.push(store.onReload((result) => result.ok && this.reload()))
    if (files.length > 0) this.#release.push(watchFiles(files, () => this.#reloadWatched()))
    try {
      this.#snapshot = load()
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** A store of PEM text (one certificate or many) or one DER certificate, all or nothing. Throws {@link ClientCertConfigError}. */
  static parse(content: string | Uint8Array): TrustStore {
    const certificates = parseBundle('TrustStore.parse', content, 'anchors')
    const snapshot = new TrustSnapshot(certificates.map((certificate) => ({ certificate })))
    return new TrustStore({ label: 'PEM or DER', load: () => snapshot })
  }

  /**
   * A store of files and directories (`.pem .crt .cer .der`), read now and watched for changes. Throws {@link ClientCertConfigError} that
   * names the file, the block and the fix.
   *
   * @param paths one path or several
   * @param options `watch: false` reads them once
   */
  static load(paths: string | readonly string[], { watch = true }: { watch?: boolean } = {}): TrustStore {
    const where = 'TrustStore.load'
    const list = typeof paths === 'string' ? [paths] : [...paths]
    if (list.length === 0) throw new ClientCertConfigError(`${where}: no path — name the CA of your clients`)
    const load = () => {
      const files = list.flatMap((path) => readTrustPath(where, path))
      const certificates = files.flatMap(({ path, bytes }) => parseBundle(`${where}: ${path}`, bytes, 'anchors'))
      return new TrustSnapshot(certificates.map((certificate) => ({ certificate })))
    }
    return new TrustStore({ label: list.join(', '), load, files: watch ? list : [] })
  }

  /** @internal What an authenticator's `trust` and `intermediates` options become. */
  static assemble(recipe: Recipe): TrustStore {
    return new TrustStore(recipe)
  }

  /** The certificates trusted at this moment. */
  current(): TrustSnapshot {
    return this.#snapshot
  }

  /** Reads the sources again. What does not parse whole changes nothing; the result says why, and listeners hear it. */
  reload(): ReloadResult {
    let result: ReloadResult
    try {
      const snapshot = this.#load()
      this.#snapshot = snapshot
      result = { ok: true, generation: snapshot.generation, anchorCount: snapshot.anchors.length }
    } catch (error) {
      result = { ok: false, error: error instanceof Error ? error : new Error(String(error)) }
    }
    for (const listener of [...this.#listeners]) {
      try {
        listener(result)
      } catch {
        // What an application's listener throws must not keep the next one, which may be another store, from hearing.
      }
    }
    return result
  }

  /** Nobody called, so that nobody reads the result: a file that broke is said aloud. */
  #reloadWatched(): void {
    const result = this.reload()
    if (result.ok) return
    process.emitWarning(`${result.error.message} (the former certificates hold)`, {
      type: 'MtlsIdentityWarning',
      code: 'MTLS_RELOAD_FAILED',
    })
  }

  /** Calls `listener` after every reload; returns what stops it. */
  onReload(listener: ReloadListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Stops watching. The certificates stay. */
  close(): void {
    for (const release of this.#release.splice(0)) release()
    this.#listeners.clear()
  }
}
