/**
 * The rules of the house, read off the source text of src/ (src/README.md is the map).
 *
 * Every rule is a function from sources to violations, so that a small violating source proves below that it bites.
 * The syntax tree decides, not a regular expression: comments and strings can neither trip nor hide anything.
 * An exception is a row in one of the tables, with its reason; a row that is no longer needed fails too.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript-5.9'

/** A file imports from its own room and from lower ranks; rooms of one rank do not know each other. */
const ranks = [
  ['errors'],
  ['der'],
  ['x509'],
  ['source', 'trust'],
  ['path'],
  ['revocation', 'identity'],
  ['rules', 'ledger'],
  ['core'],
  ['server'],
  ['channels.ts', 'metrics'],
  [
    'apim.ts',
    'express.ts',
    'koa.ts',
    'oauth',
    'opentelemetry.ts',
    'path.ts',
    'prometheus.ts',
    'rate-limit.ts',
    'rules.ts',
    'server.ts',
    'testing',
  ], // './path' and './rules' are entries, not the rooms path/ and rules/
  ['index.ts'],
]
/** Files of src/ itself that are a room together rather than an entry each. */
const roomMates: Record<string, string> = {
  'errors.ts': 'errors',
  'address-ranges.ts': 'errors',
  'details.ts': 'errors',
  'event-channels.ts': 'errors',
  'reload-events.ts': 'errors',
  'help.ts': 'errors',
  'limits.ts': 'errors',
  'file-permissions.ts': 'errors',
  'file-watch.ts': 'errors',
  'group-by.ts': 'errors',
  'lru-map.ts': 'errors',
  'refresher.ts': 'errors',
  'deadline.ts': 'errors',
  'description.ts': 'errors',
  'shared.ts': 'errors',
  'moment.ts': 'errors',
  'quietly.ts': 'errors',
  'thenable.ts': 'errors',
  'warn.ts': 'errors',
  'stack.ts': 'errors',
  'testing.ts': 'testing',
  'oauth.ts': 'oauth',
}
/** Entries that no file of src may import, because each brings peers along that the importer's users may not have. */
const peerEntries = ['apim.ts', 'express.ts', 'koa.ts', 'opentelemetry.ts', 'prometheus.ts', 'testing']

const verifier = 'src/path/signature.ts'
/** Makes the keys the verifier uses, and nothing else. */
const keyImporter = 'src/path/import-key.ts'
const verifyingNames = ['verify', 'createVerify', 'createPublicKey', 'webcrypto', 'subtle', 'Verify']

/** What Node derives from a certificate differs between its lines and is not covered by a signature check of ours. */
const forbiddenNames: Record<string, string> = {
  getPeerCertificate: 'Node’s chain objects are not what we validate',
  toLegacyObject: 'Node’s chain objects are not what we validate',
  X509Certificate: 'our own reader decides (its keyUsage and others differ between Node lines)',
  asymmetricKeyDetails: 'the key’s parameters are read from the DER',
  authorized: 'a resumed session says true without any certificate',
}

/** Modules that touch the world, and the names in them that do not. */
const ioModules: Record<string, readonly string[]> = {
  fs: [],
  net: ['isIP', 'isIPv4', 'isIPv6', 'BlockList', 'SocketAddress', 'Socket'],
  http: ['STATUS_CODES', 'maxHeaderSize', 'IncomingMessage', 'ServerResponse'],
  https: [],
  http2: ['Http2ServerRequest', 'Http2ServerResponse', 'constants'],
  tls: ['TLSSocket', 'rootCertificates', 'createSecureContext'],
  child_process: [],
  dns: [],
  dgram: [],
  inspector: [],
  worker_threads: [],
}

type Exceptions = Record<string, string>
const io: Exceptions = {
  'src/trust/pem-files.ts': 'reads the PEM and DER files an operator names',
  'src/revocation/http-exchange.ts': 'the network: fetches CRLs and OCSP responses',
  'src/file-watch.ts': 'asks whether files an operator names have changed',
  'src/file-permissions.ts': 'asks who else may change files an operator names',
  'src/server/key-files.ts': 'reads the key and certificate of the server itself',
  'src/source/secret-file.ts': 'reads the file of proxy secrets an operator names',
}
const clock: Exceptions = {
  'src/revocation/document-fetcher.ts': 'when a document was asked for, and until when its answer is waited for',
  'src/revocation/fetcher-options.ts': 'the default of `now`',
  'src/revocation/ocsp-options.ts': 'the default of `now`',
  'src/ledger/anchor-records.ts':
    'how long this process has lived: no clock of an application claims to have watched for longer',
  'src/trust/trust-store.ts': 'when certificates were read, for metrics; nothing is decided by it',
  'src/revocation/crl-options.ts': 'the default of now: CRLs are fetched between requests',
}

const testingPeers = ['@peculiar/x509', 'asn1js', 'reflect-metadata']
/** Entries that need a peer of their own at run time. */
const entryPeers: Record<string, string> = {
  'src/apim.ts': 'fast-xml-parser',
  'src/opentelemetry.ts': '@opentelemetry/api',
  'src/prometheus.ts': 'prom-client',
}
const frameworks: Record<string, string> = { 'src/express.ts': 'express', 'src/koa.ts': 'koa' }

const longest = 400

const options: Record<string, string> = {
  AuthenticatorOptions: 'src/core/options.ts',
  MountOptions: 'src/core/mount.ts',
  ExpiryOptions: 'src/ledger/expiry.ts',
  ReportOptions: 'src/ledger/rotation-report.ts',
  PathProfile: 'src/path/profile.ts',
  OcspOptions: 'src/revocation/ocsp-options.ts',
  CrlOptions: 'src/revocation/crl-options.ts',
  DenyListOptions: 'src/revocation/deny-list.ts',
  AllowUnknownOptions: 'src/revocation/allow-unknown.ts',
  SkipShortLivedOptions: 'src/revocation/short-lived.ts',
  ForwardedHeaderOptions: 'src/source/forwarded-options.ts',
  ForwardedHeaderNames: 'src/source/forwarded-options.ts',
  ProxySecretOptions: 'src/source/proxy-secret.ts',
  ByPeerOptions: 'src/source/by-peer.ts',
  AdvertiseOption: 'src/server/server-options.ts',
  GuardConnectionOptions: 'src/server/guard-connection.ts',
  SuperviseOptions: 'src/server/supervise-server.ts',
  TrustProviderOptions: 'src/trust/trust-store.ts',
}

// ── The rules ────────────────────────────────────────────────────────────────────────────────────────────────────

type Sources = ReadonlyMap<string, string>

function importsPointDown(sources: Sources): string[] {
  const rankOf = (room: string) => ranks.findIndex((rooms) => rooms.includes(room))
  return eachImport(sources, ({ file, at, target }) => {
    if (target === undefined) return
    if (!sources.has(target)) return `${at}: imports ${target}, which does not exist`
    const [from, to] = [roomOf(file), roomOf(target)]
    if (rankOf(from) === -1) return `${at}: ${from} has no rank`
    if (from === to) return
    if (peerEntries.includes(to)) return `${at}: nothing may import ${to}`
    if (rankOf(to) === -1 || rankOf(to) >= rankOf(from)) return `${at}: ${from} may not import ${to}`
  })
}

/** Type imports count: two files that need each other's types are one file, or lack a third. */
function noImportCycles(sources: Sources): string[] {
  const edges = new Map<string, string[]>([...sources.keys()].map((file) => [file, []]))
  eachImport(sources, ({ file, target }) => {
    if (target !== undefined && sources.has(target)) edges.get(file)?.push(target)
  })
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (file: string, trail: readonly string[]) => {
    if (trail.includes(file)) cycles.push([...trail.slice(trail.indexOf(file)), file].join(' → '))
    else if (!done.has(file)) for (const next of edges.get(file) ?? []) visit(next, [...trail, file])
    done.add(file)
  }
  for (const file of edges.keys()) visit(file, [])
  return cycles
}

function oneFileVerifiesSignatures(sources: Sources): string[] {
  const elsewhere = withoutTesting(sources, (file) => file !== verifier)
  return [
    ...eachImport(elsewhere, ({ at, builtin, names, typeOnly }) => {
      if (builtin !== 'crypto' || typeOnly) return
      if (names === 'all') return `${at}: import crypto’s functions by name, so that their use can be seen`
      const verifying = names.filter((name) => verifyingNames.includes(name) && !isOfImporter(at, name))
      if (verifying.length > 0) return `${at}: only ${verifier} may use crypto’s ${verifying.join(', ')}`
    }),
    ...eachName(elsewhere, (name, at) =>
      ['createVerify', 'createPublicKey', 'subtle'].includes(name) && !isOfImporter(at, name)
        ? `${at}: only ${verifier} may use ${name}`
        : undefined,
    ),
  ]
}

const isOfImporter = (at: string, name: string) => at.startsWith(`${keyImporter}:`) && name === 'createPublicKey'

function nodesOwnReadingIsNotUsed(sources: Sources): string[] {
  const product = withoutTesting(sources)
  return [
    ...eachName(product, (name, at) =>
      Object.hasOwn(forbiddenNames, name) ? `${at}: ${name}: ${forbiddenNames[name]}` : undefined,
    ),
    ...eachNode(product, (node, at) =>
      ts.isStringLiteralLike(node) && node.text === 'jwk' && !at.startsWith(`${keyImporter}:`)
        ? `${at}: a key exported as JWK is Node’s reading of it, not ours`
        : undefined,
    ),
  ]
}

/** Whoever replaces the global class makes it false of every promise there is. */
function nobodyAsksForPromise(sources: Sources): string[] {
  return eachNode(sources, (node, at) => {
    if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.InstanceOfKeyword) return
    if (/^(globalThis\.)?Promise$/.test(node.right.getText())) return `${at}: isThenable() of src/thenable.ts asks`
  })
}

/** One type and one shape of code for all warnings, so that an operator can filter them. */
function warningsComeFromWarn(sources: Sources): string[] {
  const elsewhere = withoutTesting(sources, (file) => file !== 'src/warn.ts')
  return eachName(elsewhere, (name, at) =>
    name === 'emitWarning' ? `${at}: warn() of src/warn.ts tells the operator` : undefined,
  )
}

function onlyCoreReadsTheClock(sources: Sources, exceptions: Exceptions): string[] {
  const clockless = withoutTesting(
    sources,
    (file) => !['core', 'server'].includes(roomOf(file)) && !Object.hasOwn(exceptions, file),
  )
  return eachNode(clockless, (node, at) => {
    const reads =
      (ts.isNewExpression(node) && node.expression.getText() === 'Date' && !node.arguments?.length) ||
      (ts.isCallExpression(node) && node.expression.getText() === 'Date') ||
      ((ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) &&
        /^(globalThis\.)?(Date\b.*\bnow\b|performance\b)|\bhrtime$/.test(node.getText())) ||
      (ts.isImportSpecifier(node) && ['performance', 'hrtime'].includes(node.name.text))
    return reads ? `${at}: time is read once, in core, and passed down as \`at\`` : undefined
  })
}

function ioStaysInItsFiles(sources: Sources, exceptions: Exceptions): string[] {
  return eachImport(
    withoutTesting(sources, (file) => !Object.hasOwn(exceptions, file)),
    ({ at, builtin, names, typeOnly }) => {
      const harmless = ioModules[builtin ?? '']
      if (harmless === undefined || typeOnly) return
      if (names !== 'all' && names.every((name) => harmless.includes(name))) return
      return `${at}: ${builtin} belongs to the files listed in \`io\``
    },
  )
}

function onlyNodeIsImported(sources: Sources): string[] {
  return [
    ...eachImport(sources, ({ file, at, specifier, target, builtin, typeOnly }) => {
      if (builtin !== undefined || target !== undefined) return
      if (roomOf(file) === 'testing' && testingPeers.includes(specifier)) return
      if (frameworks[file] === specifier && typeOnly) return
      if (entryPeers[file] === specifier) return
      return `${at}: may not import ${specifier}`
    }),
    ...eachNode(sources, (node, at) => {
      if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
        const [specifier] = node.arguments
        if (!specifier || !ts.isStringLiteralLike(specifier)) return `${at}: an import that cannot be read here`
      }
    }),
    ...eachName(sources, (name, at) =>
      ['require', 'createRequire', 'getBuiltinModule'].includes(name) ? `${at}: ${name} hides an import` : undefined,
    ),
  ]
}

function noRuntimeDependencies(packageJson: Record<string, unknown>): string[] {
  return Object.keys(packageJson).filter((key) => /^(optionalD|d)ependencies$|^bundle/.test(key))
}

function filesStayShort(sources: Sources): string[] {
  return [...sources]
    .map(([file, text]) => ({ file, lines: text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > longest)
    .map(({ file, lines }) => `${file}: ${lines} lines, ${longest} at most`)
}

function errorCodes(text: string): string[] {
  return [...new Set(text.match(/ERR_CLIENT_CERT_[A-Z_0-9]*[A-Z0-9]/g))].sort()
}

/** The member names of `interface NAME { … }`; undefined when the text declares no such interface. */
function interfaceMembers(text: string, name: string): string[] | undefined {
  const found = parse('options.ts', text).statements.find(
    (statement): statement is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  )
  return found?.members.flatMap((member) => (member.name ? [member.name.getText()] : []))
}

/** A name is documented where it starts a code span: `name`, `name: 'value'`, `name(…)`. */
function undocumented(names: readonly string[], readme: string): string[] {
  return names.filter((name) => !new RegExp(`\`${name}(?![A-Za-z0-9_])`).test(readme))
}

// ── How the sources are read ─────────────────────────────────────────────────────────────────────────────────────

interface Import {
  file: string
  at: string
  specifier: string
  target: string | undefined // the file of src/ it names
  builtin: string | undefined // 'fs' of node:fs/promises
  typeOnly: boolean
  names: readonly string[] | 'all'
}

function parse(file: string, text: string): ts.SourceFile {
  return ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true)
}

/** 'der' of src/der/reader.ts; a file of src/ itself is its own room unless it has room mates. */
function roomOf(file: string): string {
  const room = file.split('/')[1] ?? ''
  return roomMates[room] ?? room
}

function withoutTesting(sources: Sources, keep: (file: string) => boolean = () => true): Sources {
  return new Map([...sources].filter(([file]) => roomOf(file) !== 'testing' && keep(file)))
}

type Finding = string | undefined

function eachNode(sources: Sources, judge: (node: ts.Node, at: string, file: string) => Finding): string[] {
  const findings: string[] = []
  for (const [file, text] of sources) {
    const source = parse(file, text)
    const visit = (node: ts.Node): void => {
      const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1
      const finding = judge(node, `${file}:${line}`, file)
      if (finding) findings.push(finding)
      ts.forEachChild(node, visit)
    }
    visit(source)
  }
  return findings
}

/** Every name that is declared, imported, read (`a.name`, `a['name']`) or destructured. */
function eachName(sources: Sources, judge: (name: string, at: string) => Finding): string[] {
  return eachNode(sources, (node, at) => {
    if (ts.isIdentifier(node)) return judge(node.text, at)
    const names =
      ts.isStringLiteralLike(node) &&
      (ts.isElementAccessExpression(node.parent) ||
        ts.isBindingElement(node.parent) ||
        ts.isComputedPropertyName(node.parent))
    if (names) return judge(node.text, at)
  })
}

function eachImport(sources: Sources, judge: (found: Import) => Finding): string[] {
  return eachNode(sources, (node, at, file) => {
    const found = importOf(node)
    if (!found) return
    const relative = /^\.{1,2}\//.test(found.specifier)
    return judge({
      ...found,
      file,
      at,
      target: relative ? posix.join(posix.dirname(file), found.specifier).replace(/\.js$/, '.ts') : undefined,
      builtin: /^node:([^/]+)/.exec(found.specifier)?.[1],
    })
  })
}

function importOf(node: ts.Node): Pick<Import, 'specifier' | 'typeOnly' | 'names'> | undefined {
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
    const bindings = node.importClause?.namedBindings
    const everything = node.importClause?.name !== undefined || (bindings && ts.isNamespaceImport(bindings))
    const names = bindings && ts.isNamedImports(bindings) ? valueNames(bindings.elements) : []
    return {
      specifier: node.moduleSpecifier.text,
      typeOnly: node.importClause?.isTypeOnly ?? false,
      names: everything ? 'all' : names,
    }
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier)) {
    const clause = node.exportClause
    const names = clause && ts.isNamedExports(clause) ? valueNames(clause.elements) : 'all'
    return { specifier: node.moduleSpecifier.text, typeOnly: node.isTypeOnly, names }
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) && ts.isStringLiteral(node.argument.literal)) {
    return { specifier: node.argument.literal.text, typeOnly: true, names: [] }
  }
  if (ts.isModuleDeclaration(node) && ts.isStringLiteral(node.name)) {
    return { specifier: node.name.text, typeOnly: true, names: [] }
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [specifier] = node.arguments
    if (specifier && ts.isStringLiteralLike(specifier)) {
      return { specifier: specifier.text, typeOnly: false, names: 'all' }
    }
  }
}

function valueNames(elements: readonly (ts.ImportSpecifier | ts.ExportSpecifier)[]): string[] {
  return elements.filter((element) => !element.isTypeOnly).map(({ propertyName, name }) => (propertyName ?? name).text)
}

// ── The house ────────────────────────────────────────────────────────────────────────────────────────────────────

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const house: Sources = new Map(
  (existsSync(join(root, 'src')) ? readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }) : [])
    .map((file) => `src/${file.replaceAll('\\', '/')}`)
    .filter((file) => file.endsWith('.ts'))
    .sort()
    .map((file) => [file, read(file)]),
)

describe('the house keeps its rules', () => {
  test('the sources were found', () => {
    expect([...house.keys()]).toEqual(expect.arrayContaining(['src/index.ts', 'src/errors.ts', verifier]))
  })

  test('a file imports only from lower ranks or its own room', () => {
    expect(importsPointDown(house)).toEqual([])
  })

  test('no file imports itself by a detour', () => {
    expect(noImportCycles(house)).toEqual([])
  })

  test('one file verifies signatures and builds public keys', () => {
    expect(oneFileVerifiesSignatures(house)).toEqual([])
  })

  test('what Node reads out of a certificate is not used', () => {
    expect(nodesOwnReadingIsNotUsed(house)).toEqual([])
  })

  test('warnings come from warn()', () => {
    expect(warningsComeFromWarn(house)).toEqual([])
  })

  test('what is to be waited for is known by its then()', () => {
    expect(nobodyAsksForPromise(house)).toEqual([])
  })

  test('only core reads the clock', () => {
    expect(onlyCoreReadsTheClock(house, clock)).toEqual([])
  })

  test('files, sockets and processes are touched only where it is listed', () => {
    expect(ioStaysInItsFiles(house, io)).toEqual([])
  })

  test('no exception outlives its need', () => {
    const needed = (violations: string[], file: string) => violations.some((text) => text.startsWith(`${file}:`))
    const stale = [
      ...Object.keys(io).filter((file) => !needed(ioStaysInItsFiles(house, {}), file)),
      ...Object.keys(clock).filter((file) => !needed(onlyCoreReadsTheClock(house, {}), file)),
    ]
    expect(stale).toEqual([])
  })

  test('nothing but Node is imported, except test certificates in testing and framework types in their adapter', () => {
    expect(onlyNodeIsImported(house)).toEqual([])
  })

  test('the package has no runtime dependency', () => {
    expect(noRuntimeDependencies(JSON.parse(read('package.json')))).toEqual([])
  })

  test('no file is longer than one can keep in mind', () => {
    expect(filesStayShort(house)).toEqual([])
  })

  test('the README explains every error code', () => {
    const codes = errorCodes(read('src/errors.ts'))
    expect(codes).toContain('ERR_CLIENT_CERT_ABSENT')
    expect(undocumented(codes, read('README.md'))).toEqual([])
  })

  test.each(Object.entries(options))('the README explains every option of %s', (name, file) => {
    const members = interfaceMembers(read(file), name) ?? []
    expect(members).not.toEqual([])
    expect(undocumented(members, read('README.md'))).toEqual([])
  })
})

// ── The rules bite ───────────────────────────────────────────────────────────────────────────────────────────────

const sources = (files: Record<string, string>): Sources => new Map(Object.entries(files))

describe('the rules bite', () => {
  test.each([
    ['a lower rank imports a higher one', 'src/der/reader.ts', "import { name } from '../x509/name.js'"],
    ['its type alone is enough', 'src/der/reader.ts', "import type { Name } from '../x509/name.js'"],
    ['so is a type written in place', 'src/der/reader.ts', "let n: import('../x509/name.js').Name"],
    ['so is a dynamic import', 'src/der/reader.ts', "await import('../x509/name.js')"],
    ['so is a re-export', 'src/der/reader.ts', "export * from '../x509/name.js'"],
    ['rooms of one rank know each other', 'src/trust/trust-store.ts', "import '../source/source.js'"],
    ['a room imports the entry of its name', 'src/path/search.ts', "import '../path.js'"],
    ['an entry imports another entry', 'src/rules.ts', "import './path.js'"],
    ['the index brings a framework along', 'src/index.ts', "import './koa.js'"],
    ['an entry imports testing', 'src/index.ts', "import './testing.js'"],
    ['core imports a part of testing', 'src/core/guard.ts', "import '../testing/pki.js'"],
    ['a room without a rank', 'src/helpers/misc.ts', "import '../errors.js'"],
    ['a file that does not exist', 'src/core/guard.ts', "import './gard.js'"],
  ])('ranks: %s', (_, file, text) => {
    const others = ['x509/name', 'source/source', 'path', 'koa', 'testing', 'testing/pki', 'errors']
    const tree = Object.fromEntries(others.map((name) => [`src/${name}.ts`, '']))
    expect(importsPointDown(sources({ ...tree, [file]: text }))).toEqual([
      expect.stringMatching(new RegExp(`^${file}:1: `)),
    ])
  })

  test('ranks: downwards, sideways in the own room, and the index re-exporting rules, are fine', () => {
    const fine = {
      'src/errors.ts': '',
      'src/x509/name.ts': "import { deny } from '../errors.js'",
      'src/x509/certificate.ts': "import { name } from './name.js'",
      'src/testing.ts': "import './testing/pki.js'",
      'src/testing/pki.ts': "import '../x509/name.js'",
      'src/rules.ts': '',
      'src/index.ts': "export * as rules from './rules.js'",
    }
    expect(importsPointDown(sources(fine))).toEqual([])
    expect(noImportCycles(sources(fine))).toEqual([])
  })

  test('cycles: a detour of three files is found, types included', () => {
    const cycle = {
      'src/path/a.ts': "import './b.js'",
      'src/path/b.ts': "import type { C } from './c.js'",
      'src/path/c.ts': "export { a } from './a.js'",
    }
    expect(noImportCycles(sources(cycle))).toEqual(['src/path/a.ts → src/path/b.ts → src/path/c.ts → src/path/a.ts'])
  })

  test.each([
    "import { verify } from 'node:crypto'",
    "import { verify as check } from 'node:crypto'",
    "import { createHash, createVerify } from 'node:crypto'",
    "import { createPublicKey } from 'node:crypto'",
    "export { createPublicKey } from 'node:crypto'",
    "import crypto from 'node:crypto'",
    "import * as crypto from 'node:crypto'",
    "await import('node:crypto')",
    'globalThis.crypto.subtle',
  ])('signatures: %s is refused outside its file', (text) => {
    expect(oneFileVerifiesSignatures(sources({ 'src/revocation/crl-checker.ts': text }))).not.toEqual([])
    expect(oneFileVerifiesSignatures(sources({ [verifier]: text }))).toEqual([])
  })

  test('signatures: the file that makes keys verifies nothing', () => {
    const importing = (text: string) => oneFileVerifiesSignatures(sources({ [keyImporter]: text }))
    expect(importing("import { createPublicKey } from 'node:crypto'\ncreatePublicKey(pem)")).toEqual([])
    expect(importing("import { verify } from 'node:crypto'")).not.toEqual([])
  })

  test('signatures: hashing, types, comments and a function of ours named verify are fine', () => {
    const text = [
      "import { createHash } from 'node:crypto'",
      "import type { KeyObject } from 'node:crypto'",
      '// createPublicKey(…) lives in path/signature.ts',
      "import { verify } from '../path/signature.js'",
    ].join('\n')
    expect(oneFileVerifiesSignatures(sources({ 'src/revocation/crl-checker.ts': text }))).toEqual([])
  })

  test.each([
    'socket.getPeerCertificate(true)',
    "socket['getPeerCertificate']()",
    'certificate.toLegacyObject()',
    "import { X509Certificate } from 'node:crypto'",
    "import type { X509Certificate } from 'node:crypto'",
    'key.asymmetricKeyDetails',
    "key.export({ format: 'jwk' })",
    'if (socket.authorized) {}',
    'socket?.authorized',
    "socket['authorized']",
    'const { authorized } = socket',
    "const { ['authorized']: ok } = socket",
    "const { 'authorized': ok } = socket",
  ])('Node’s own reading: %s is refused outside testing', (text) => {
    expect(nodesOwnReadingIsNotUsed(sources({ 'src/source/tls-socket.ts': text }))).not.toEqual([])
    expect(nodesOwnReadingIsNotUsed(sources({ 'src/testing/pki.ts': text }))).toEqual([])
  })

  test('Node’s own reading: may be named in comments and messages', () => {
    const text = "/** never socket.authorized */ const help = 'do not trust socket.authorized'"
    expect(nodesOwnReadingIsNotUsed(sources({ 'src/source/tls-socket.ts': text }))).toEqual([])
  })

  test.each(["process.emitWarning('x')", "import { emitWarning } from 'node:process'", "process['emitWarning']('x')"])(
    'warnings: %s is refused outside warn.ts',
    (text) => {
      expect(warningsComeFromWarn(sources({ 'src/core/options.ts': text }))).not.toEqual([])
      expect(warningsComeFromWarn(sources({ 'src/warn.ts': text }))).toEqual([])
    },
  )

  test.each(['found instanceof Promise', 'if (!(a instanceof globalThis.Promise)) b()'])(
    'promises: %s is refused',
    (text) => {
      expect(nobodyAsksForPromise(sources({ 'src/core/mount.ts': text }))).not.toEqual([])
      expect(nobodyAsksForPromise(sources({ 'src/core/mount.ts': `// ${text}` }))).toEqual([])
    },
  )

  test.each([
    'const at = Date.now()',
    'const now = Date.now',
    "Date['now']()",
    'globalThis.Date.now()',
    'new Date()',
    'new Date',
    'Date()',
    'performance.now()',
    "import { performance } from 'node:perf_hooks'",
    'process.hrtime.bigint()',
  ])('clock: %s is refused below core', (text) => {
    expect(onlyCoreReadsTheClock(sources({ 'src/path/validate-path.ts': text }), {})).not.toEqual([])
    expect(onlyCoreReadsTheClock(sources({ 'src/core/authenticator.ts': text }), {})).toEqual([])
    expect(onlyCoreReadsTheClock(sources({ 'src/trust/watch.ts': text }), { 'src/trust/watch.ts': 'why' })).toEqual([])
  })

  test('clock: making a date from an instant is fine', () => {
    const text = 'new Date(at); new Date(Date.UTC(2020, 1)); Date.parse(text); path.now'
    expect(onlyCoreReadsTheClock(sources({ 'src/x509/time.ts': text }), {})).toEqual([])
  })

  test.each([
    "import { readFileSync } from 'node:fs'",
    "import { readFile } from 'node:fs/promises'",
    "import fs from 'node:fs'",
    "import * as net from 'node:net'",
    "import { connect, isIP } from 'node:net'",
    "import { get } from 'node:http'",
    "import https from 'node:https'",
    "import { exec } from 'node:child_process'",
    "export { lookup } from 'node:dns'",
    "await import('node:dns/promises')",
  ])('I/O: %s is refused where it is not listed', (text) => {
    expect(ioStaysInItsFiles(sources({ 'src/core/options.ts': text }), {})).toEqual([
      expect.stringMatching(/^src\/core\/options\.ts:1: /),
    ])
    expect(ioStaysInItsFiles(sources({ 'src/core/options.ts': text }), { 'src/core/options.ts': 'why' })).toEqual([])
  })

  test('I/O: types, and functions that touch nothing, are fine', () => {
    const text = "import type { IncomingMessage } from 'node:http'\nimport { isIP, BlockList } from 'node:net'"
    expect(ioStaysInItsFiles(sources({ 'src/source/trusted-proxy.ts': text }), {})).toEqual([])
  })

  test.each([
    ['src/x509/name.ts', "import * as asn1js from 'asn1js'"],
    ['src/x509/name.ts', "import { Buffer } from 'buffer'"],
    ['src/express.ts', "import express from 'express'"],
    ['src/express.ts', "import { type Request } from 'express'"],
    ['src/core/guard.ts', "import type { Request } from 'express'"],
    ['src/koa.ts', "import type { Request } from 'express'"],
    ['src/koa.ts', "import Koa from 'koa'"],
    ['src/koa.ts', "import { XMLParser } from 'fast-xml-parser'"],
    ['src/testing.ts', "import request from 'supertest'"],
    ['src/core/guard.ts', 'await import(name)'],
    ['src/core/guard.ts', "require('express')"],
    ['src/core/guard.ts', "process.getBuiltinModule('fs')"],
  ])('imports: %s may not say %s', (file, text) => {
    expect(onlyNodeIsImported(sources({ [file]: text }))).not.toEqual([])
  })

  test('imports: Node, framework types in their adapter and test certificates in testing are fine', () => {
    const fine = {
      'src/core/guard.ts': "import { createHash } from 'node:crypto'",
      'src/express.ts': "import type { Request } from 'express'",
      'src/koa.ts': "import type Koa from 'koa'\ndeclare module 'koa' { interface ExtendableContext { a: 1 } }",
      'src/testing/pki.ts': "import 'reflect-metadata'\nimport * as x509 from '@peculiar/x509'",
    }
    expect(onlyNodeIsImported(sources(fine))).toEqual([])
  })

  test('dependencies: every form of them is found', () => {
    const manifest = {
      dependencies: {},
      optionalDependencies: {},
      bundleDependencies: [],
      bundledDependencies: [],
    }
    expect(noRuntimeDependencies(manifest)).toEqual(Object.keys(manifest))
    expect(noRuntimeDependencies({ peerDependencies: {}, devDependencies: {} })).toEqual([])
  })

  test('length: the line after the last allowed one is found', () => {
    const [fits, exceeds] = [`${'\n'.repeat(longest - 1)}end\n`, `${'\n'.repeat(longest)}end\n`]
    expect(filesStayShort(sources({ 'src/a.ts': fits, 'src/b.ts': exceeds }))).toEqual([
      'src/b.ts: 401 lines, 400 at most',
    ])
  })

  test('README: a missing code is found, also where it is the beginning of another', () => {
    const codes = errorCodes("'ERR_CLIENT_CERT_PATH', 'ERR_CLIENT_CERT_PATH_LENGTH' // ERR_CLIENT_CERT_…")
    expect(codes).toEqual(['ERR_CLIENT_CERT_PATH', 'ERR_CLIENT_CERT_PATH_LENGTH'])
    expect(undocumented(codes, '| `ERR_CLIENT_CERT_PATH_LENGTH` | 403 |')).toEqual(['ERR_CLIENT_CERT_PATH'])
  })

  test('README: an option is documented by code, not by the word in prose', () => {
    const text =
      "export interface MountOptions { /** nested: no */ mode?: 'a'; readonly responses: { absent: 1 }; skip(r: 1): 2 }"
    const members = interfaceMembers(text, 'MountOptions')
    expect(members).toEqual(['mode', 'responses', 'skip'])
    expect(undocumented(members ?? [], "the mode to skip: `mode: 'a'`, `skip(request)`")).toEqual(['responses'])
    expect(interfaceMembers(text, 'PathProfile')).toBeUndefined()
  })
})
