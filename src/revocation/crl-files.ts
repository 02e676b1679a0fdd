import { watchFiles } from '../file-watch.js'
import {
  type FileKind,
  isReadFailure,
  type OperatorFile,
  readOperatorDirectory,
  readOperatorFile,
} from '../trust/pem-files.js'
import type { CertificateRevocationList } from '../x509/crl.js'
import { parseCrls } from './crl-bundle.js'
import type { CrlHoldings } from './crl-holdings.js'
import type { CrlSettings } from './crl-options.js'
import { areSmall, know, knowNow } from './crl-reader.js'
import type { KnownCrl } from './known-crl.js'

/** Hears what came of reading. */
export interface CrlReports {
  readonly loaded: (where: string, crls: readonly KnownCrl[]) => void
  readonly failed: (where: string, error: Error) => void
}

/** The files of a checker are one source: they are exchanged together. */
export const ofFiles = 'files'

interface ParsedFile {
  readonly path: string
  readonly crls: readonly CertificateRevocationList[]
}

/**
 * The CRLs of an operator's files: read when this is made, and again whenever the files change, all or none. Those that are large are read while others
 * get their turn; what was there before holds meanwhile.
 */
export class CrlFiles {
  readonly #settings: CrlSettings
  readonly #holdings: CrlHoldings
  readonly #reports: CrlReports
  readonly #where: string
  readonly #unwatch: () => void
  /** Resolves when the files were read for the first time, whatever came of it. */
  readonly started: Promise<void> | undefined
  #isReading = false
  /** They changed while they were being read. */
  #isChanged = false
  #isClosed = false
  #failure: Error | undefined

  /** Throws what is wrong with the files, except for what stands among the entries of large ones. */
  constructor(settings: CrlSettings, holdings: CrlHoldings, reports: CrlReports) {
    const { files, directory, watch } = settings
    const places = [...files, ...(directory === undefined ? [] : [directory])]
    this.#settings = settings
    this.#holdings = holdings
    this.#reports = reports
    this.#where = places.join(', ')
    // Watched before they are read: what changes in between is read again.
    this.#unwatch = watch ? watchFiles(places, () => this.#changed()) : () => {}
    try {
      this.started = this.#read()
    } catch (error) {
      this.#unwatch()
      throw error
    }
  }

  /** Why there are no CRLs at all; undefined where there are, be it those from before. */
  get failure(): Error | undefined {
    return this.#holdings.offeredBy(ofFiles).length === 0 ? this.#failure : undefined
  }

  close(): void {
    this.#isClosed = true
    this.#unwatch()
  }

  /** False where it has to be tried again although nothing changes. */
  #changed(): boolean {
    this.#isChanged = this.#isReading
    if (this.#isReading) return true
    try {
      void this.#read()
    } catch (error) {
      this.#fail(error as Error)
      return !isReadFailure(error)
    }
    return true
  }

  /** Small CRLs take effect at once, so that an authenticator is ready when it is made. */
  #read(): Promise<void> | undefined {
    const { files, directory, maximumBytes } = this.#settings
    const kind: FileKind = { endings: ['.crl', '.pem', '.der'], maximumBytes, content: 'CRLs' }
    const read: OperatorFile[] = files.map((path) => readOperatorFile('crl', path, kind))
    if (directory !== undefined) read.push(...readOperatorDirectory('crl', directory, kind))
    const parsed = read.map(({ path, bytes }) => ({ path, crls: parseCrls(`crl: ${path}`, bytes) }))
    if (!areSmall(parsed.flatMap(({ crls }) => crls))) return this.#readLarge(parsed)
    const before = this.#holdings.offeredBy(ofFiles)
    this.#offer(parsed.flatMap(({ path, crls }) => knowNow(`crl: ${path}`, path, crls, before)))
    return undefined
  }

  /** One file after the other, and one reading after the other: the last that began is the last that ends. Never rejects. */
  async #readLarge(parsed: readonly ParsedFile[]): Promise<void> {
    const before = this.#holdings.offeredBy(ofFiles)
    const known: KnownCrl[] = []
    this.#isReading = true
    try {
      for (const { path, crls } of parsed) known.push(...(await know(`crl: ${path}`, path, crls, before)))
      if (!this.#isClosed) this.#offer(known)
    } catch (error) {
      this.#fail(error as Error)
    }
    this.#isReading = false
    if (this.#isChanged && !this.#isClosed) this.#changed()
  }

  #offer(known: readonly KnownCrl[]): void {
    this.#failure = undefined
    this.#holdings.offer(ofFiles, known)
    this.#reports.loaded(this.#where, known)
  }

  /** What is tried again every two seconds is said once. */
  #fail(error: Error): void {
    const isNews = this.#failure?.message !== error.message
    this.#failure = error
    if (isNews && !this.#isClosed) this.#reports.failed(this.#where, error)
  }
}
