/**
 * The package as users get it: packed, unpacked outside the repository, imported, required and compiled against.
 *
 * Nothing is fetched. The consumer's node_modules holds the unpacked tarball and links to the peers installed here.
 */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { promisify } from 'node:util'

const repository = join(import.meta.dirname, '../..')
const bin = (path: string) => join(repository, 'node_modules', path)
const peers = [
  '@opentelemetry',
  '@peculiar/x509',
  '@types',
  'asn1js',
  'express',
  'fast-xml-parser',
  'koa',
  'prom-client',
  'reflect-metadata',
]

let folder: string
let tarball: string
let consumer: string
let packed: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mtls-identity-packaging-'))
  await run('npm', ['pack', '--pack-destination', folder, '--loglevel', 'error'], repository)
  tarball = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? 'none')

  consumer = join(folder, 'consumer')
  packed = join(consumer, 'node_modules/mtls-identity')
  mkdirSync(packed, { recursive: true })
  await run('tar', ['-xzf', tarball, '-C', packed, '--strip-components=1'])
  mkdirSync(join(consumer, 'node_modules/@peculiar'))
  for (const peer of peers) symlinkSync(bin(peer), join(consumer, 'node_modules', peer))
  cpSync(join(import.meta.dirname, 'consumers'), consumer, { recursive: true })
  writeFileSync(join(consumer, 'package.json'), '{ "private": true }')
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs a program to its end; where it fails, its own words are the error. */
async function run(program: string, args: string[], cwd: string = folder): Promise<{ stdout: string; stderr: string }> {
  try {
    return await promisify(execFile)(program, args, { cwd, maxBuffer: 1 << 26 })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${program} ${args.join(' ')}\n${stdout}${stderr}`)
  }
}

/** Every file of the tarball, `dist/esm/index.js` style. */
function files(): string[] {
  return readdirSync(packed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => posix.join(entry.parentPath, entry.name).slice(packed.length + 1))
    .sort()
}
const read = (file: string) => readFileSync(join(packed, file), 'utf8')

describe('the tarball', () => {
  test('holds the build, the texts, the manifest and nothing else', () => {
    const texts = files().filter((file) => !file.startsWith('dist/'))
    expect(texts).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', 'rules.schema.json'])
    expect(files().filter((file) => !/\.(js|d\.ts|js\.map)$/.test(file) && file.startsWith('dist/'))).toEqual([
      'dist/cjs/package.json',
    ])
  })

  test('holds no test', () => {
    expect(files().filter((file) => /\.(test|spec)\.|(^|\/)(tests?|__tests__|fixtures)\//.test(file))).toEqual([])
  })

  test('holds every source map its files name, with the source inside', () => {
    const maps = files().filter((file) => file.endsWith('.map'))
    const broken = maps.filter((file) => {
      const { sources, sourcesContent = [], sourceRoot } = JSON.parse(read(file))
      const outside = sources.some((source: string) => posix.join(posix.dirname(file), source).startsWith('..'))
      return outside || sourceRoot || sources.length === 0 || sourcesContent.length !== sources.length
    })
    expect(broken).toEqual([])
    const named = files().flatMap((file) =>
      [...read(file).matchAll(/^\/\/# sourceMappingURL=(.+)$/gm)].map(([, map = '']) =>
        posix.join(posix.dirname(file), map),
      ),
    )
    expect(named.sort()).toEqual(maps)
  })

  test('does not say where it was built', () => {
    const here = new RegExp(`(?<![\\w.-])${repository.replace(/[.+()[\]]/g, '\\$&')}/`)
    expect(files().filter((file) => here.test(read(file)))).toEqual([])
  })

  test('brings no dependency and runs nothing on installation', () => {
    const { dependencies, optionalDependencies, bundleDependencies, scripts = {} } = JSON.parse(read('package.json'))
    expect({ dependencies, optionalDependencies, bundleDependencies }).toEqual({})
    expect(Object.keys(scripts).filter((name) => /^(pre|post)?(install|prepare)$/.test(name))).toEqual([])
  })

  test('publint has nothing to say', async () => {
    const { stdout } = await run(process.execPath, [bin('publint/src/cli.js'), 'run', tarball, '--strict'])
    expect(stdout).toContain('All good')
  })

  test('are-the-types-wrong finds nothing wrong, for ESM, CommonJS and bundlers', async () => {
    const attw = [bin('@arethetypeswrong/cli/dist/index.js'), tarball, '--no-definitely-typed', '--profile', 'node16']
    await run(process.execPath, attw)
  })
})

describe('an application', () => {
  const withoutRequireOfEsm = ['--no-experimental-require-module', 'run.cjs', 'without-require-of-esm']
  const answers = { alice: '200 alice', bob: '403', stranger: '403', nobody: '401' }
  const seen = {
    express: answers,
    koa: answers,
    apim: 'report-only',
    oauth: 'not-bound',
    rateLimit: ['publicKeyPin'],
    metrics: true,
    path: [true, false, 'ERR_CLIENT_CERT_UNKNOWN_ISSUER'],
    errors: [true, true, false, true],
  }

  test.each([
    ['imports all ten entries', ['run.mjs']],
    ['requires all ten entries', ['run.cjs']],
    ['requires the CommonJS copy, as tools do that do not know module-sync', withoutRequireOfEsm],
  ])('%s and knows its clients', async (_, args) => {
    const { stdout, stderr } = await run(process.execPath, args, consumer)
    expect(JSON.parse(stdout)).toMatchObject(seen)
    expect(stderr).toBe('')
  })

  test('finds the same names in the ESM and in the CommonJS copy', async () => {
    const names = async (args: string[]) => JSON.parse((await run(process.execPath, args, consumer)).stdout).exports
    expect(await names(withoutRequireOfEsm)).toEqual(await names(['run.mjs']))
  })

  test('gets one copy, however it is loaded', async () => {
    const { stdout } = await run(process.execPath, ['one-copy.cjs'], consumer)
    expect(stdout.trim()).toBe('true')
  })
})

describe('a typed application', () => {
  const common = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    target: 'es2022',
    lib: ['es2023'],
  }
  const settings = {
    'an ES module': { compilerOptions: { ...common, module: 'nodenext' }, files: ['types.mts'] },
    'a CommonJS module': { compilerOptions: { ...common, module: 'nodenext' }, files: ['types.cts'] },
    'bundled code': {
      compilerOptions: { ...common, module: 'esnext', moduleResolution: 'bundler' },
      files: ['types.mts'],
    },
  }

  test.each([
    ['an ES module', 'TypeScript 7', 'typescript'],
    ['a CommonJS module', 'TypeScript 7', 'typescript'],
    ['bundled code', 'TypeScript 7', 'typescript'],
    ['an ES module', 'TypeScript 5.9', 'typescript-5.9'],
    ['a CommonJS module', 'TypeScript 5.9', 'typescript-5.9'],
    ['bundled code', 'TypeScript 5.9', 'typescript-5.9'],
  ] as const)('as %s compiles with %s, and its mistakes do not', async (kind, _, compiler) => {
    const { compilerOptions, files } = settings[kind]
    const config = join(consumer, `tsconfig.${compiler}.${kind.replaceAll(' ', '-')}.json`)
    writeFileSync(config, JSON.stringify({ compilerOptions: { ...compilerOptions, types: ['node'] }, files }))
    const tsc = run(process.execPath, [bin(`${compiler}/bin/tsc`), '-p', config], consumer)
    const output = await tsc.then(
      () => '',
      ({ message }: Error) => message,
    )
    // Our own declarations are checked, so skipLibCheck is off; what other packages' say of themselves is theirs.
    const [errors, theirs] = [/\berror TS/, /^\.\.\/.*\berror TS/].map((kind) =>
      output.split('\n').filter((line) => kind.test(line)),
    )
    expect(errors).toEqual(theirs)
    expect(output === '' || errors?.length).toBeTruthy()
  })
})
