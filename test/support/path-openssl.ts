import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pem } from './path-forge.js'

export interface Chain {
  readonly leaf: Uint8Array
  readonly via: readonly Uint8Array[]
  readonly anchors: readonly Uint8Array[]
  readonly crls?: readonly Uint8Array[]
}

/** `OK`, or what `openssl verify` said against it: `error 47 at 0 depth lookup: permitted subtree violation`, without the depth. */
export type Finding = string

/**
 * What `openssl verify` makes of many chains in one call. All of them share one pool of untrusted certificates, so that the names of their CAs
 * have to differ from chain to chain.
 */
export async function opensslVerify(
  chains: readonly Chain[],
  at: Date,
  options: readonly string[],
): Promise<Finding[]> {
  if (chains.length === 0) return []
  const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-openssl-'))
  try {
    const findings = await verifyIn(folder, chains, at, options)
    if (findings !== undefined) return findings
    // A certificate that OpenSSL cannot read spoils the pool for all: one by one, then.
    if (chains.length === 1) return ['unreadable']
    const half = chains.length >> 1
    const [first, second] = [chains.slice(0, half), chains.slice(half)]
    return [...(await opensslVerify(first, at, options)), ...(await opensslVerify(second, at, options))]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function verifyIn(folder: string, chains: readonly Chain[], at: Date, options: readonly string[]) {
  const file = (name: string, ders: readonly Uint8Array[], label?: string) => {
    const path = join(folder, name)
    writeFileSync(path, ders.map((der) => pem(der, label)).join(''))
    return path
  }
  const distinct = (ders: readonly Uint8Array[]) => [
    ...new Map(ders.map((der) => [Buffer.from(der).toString('hex'), der])).values(),
  ]
  const untrusted = distinct(chains.flatMap(({ via }) => via))
  const anchors = file('anchors.pem', distinct(chains.flatMap((chain) => chain.anchors)))
  const pool = untrusted.length === 0 ? [] : ['-untrusted', file('untrusted.pem', untrusted)]
  const crls = chains.flatMap((chain) => chain.crls ?? [])
  const lists = crls.length === 0 ? [] : ['-CRLfile', file('crls.pem', crls, 'X509 CRL')]
  const leaves = chains.map(({ leaf }, i) => file(`${i}.pem`, [leaf]))
  const time = ['-attime', String(at.getTime() / 1000)]
  const output = await openssl(
    'verify',
    '-no-CApath',
    '-no-CAstore',
    '-CAfile',
    anchors,
    ...pool,
    ...lists,
    ...time,
    ...options,
    ...leaves,
  )
  return parse(output, leaves)
}

/** Errors come before the line that names the file they are about. Undefined where a file of the pool was not read. */
function parse(output: string, leaves: readonly string[]): Finding[] | undefined {
  const findings = new Map<string, Finding>()
  let reasons: string[] = []
  for (const line of output.split('\n')) {
    const reason = /^error \d+ at (\d+) depth lookup: ?(.*)$/.exec(line)
    if (reason !== null) reasons.push(reason[2] as string)
    const verdict = /^(?:error )?(\S+\.pem): (OK|verification failed)$/.exec(line)
    if (verdict === null) continue
    const [, file, word] = verdict as unknown as [string, string, string]
    findings.set(file, word === 'OK' ? 'OK' : reasons.join('; '))
    reasons = []
  }
  if (findings.size === 0 || /untrusted\.pem|anchors\.pem|crls\.pem/.test(output)) return undefined
  return leaves.map((file) => findings.get(file) ?? 'unreadable')
}

/** What it prints: the order of lines within standard error is that of the files; acceptances are on standard output. */
function openssl(...args: string[]): Promise<string> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 1 << 26 }
    execFile('openssl', args, options, (_, stdout, stderr) => resolve(`${stderr}\n${stdout}`))
  })
}

export const opensslVersion = (): Promise<string> => openssl('version').then((text) => text.trim())
