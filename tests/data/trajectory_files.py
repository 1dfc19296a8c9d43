"""Writes Datasets of atoms as other programs would, by hand or through MDAnalysis' writers."""

import warnings

import MDAnalysis
import numpy as np

import bayescg as bcg

FRAMES = 5
KCAL = 4.184


def waters(frames=FRAMES):
    """Rigid waters whose numbers are those of a file: float32, evenly timed."""
    atoms = bcg.data.synthetic.rigid_water(frames=frames, molecules=9, seed=3)
    for name in ("position", "velocity", "force"):
        atoms[name] = atoms[name].astype(np.float32)
    return atoms


def write_psf(atoms, path):
    """A topology with names, residues, masses and, where there are some, bonds."""
    lines = ["PSF", "", "       1 !NTITLE", " REMARKS waters", "", f"{atoms.sizes['atom']:8d} !NATOM"]
    for i in range(atoms.sizes["atom"]):
        name, residue = str(atoms.name[i].item()), int(atoms.residue[i]) + 1
        mass = float(atoms.mass[i])
        lines.append(
            f"{i + 1:8d} SYS  {residue:<4d} SOL  {name:4s} {name:4s} {0.0:10.6f}  {mass:12.4f}           0"
        )
    pairs = atoms["bond"].to_numpy().ravel() + 1 if "bond" in atoms else np.zeros(0, dtype=int)
    lines += ["", f"{len(pairs) // 2:8d} !NBOND: bonds"]
    lines += ["".join(f"{i:8d}" for i in pairs[k : k + 8]) for k in range(0, len(pairs), 8)]
    path.write_text("\n".join([*lines, ""]))
    return path


def write_data(atoms, path, *, mass_unit):
    """A LAMMPS data file, atom style full: oxygen is type 1, hydrogen type 2."""
    count, bonds = atoms.sizes["atom"], atoms["bond"].to_numpy() + 1
    lines = [
        "LAMMPS data file",
        "",
        f"{count} atoms",
        f"{len(bonds)} bonds",
        "2 atom types",
        "1 bond types",
        "",
    ]
    lines += [f"0.0 20.0 {x}lo {x}hi" for x in "xyz"]
    lines += ["", "Masses", "", *(f"{i + 1} {float(atoms.mass[i]) / mass_unit:.10g}" for i in range(2))]
    lines += ["", "Atoms # full", ""]
    for i in range(count):
        kind = 1 if atoms.name[i].item() == "OW" else 2
        place = " ".join(f"{10 * float(x):.6f}" for x in atoms.position[0, i])
        lines.append(f"{i + 1} {int(atoms.molecule[i]) + 1} {kind} 0.0 {place}")
    lines += ["", "Bonds", "", *(f"{k + 1} 1 {i} {j}" for k, (i, j) in enumerate(bonds))]
    path.write_text("\n".join([*lines, ""]))
    return path


def write_with_mdanalysis(atoms, path, **options):
    universe = MDAnalysis.Universe.empty(atoms.sizes["atom"], trajectory=True, velocities=True, forces=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with MDAnalysis.Writer(str(path), atoms.sizes["atom"], **options) as writer:
            for frame in range(atoms.sizes["frame"]):
                now = universe.trajectory.ts
                now.time, now.frame = float(atoms.time[frame]), frame
                universe.dimensions = [*(10 * atoms.box[frame].to_numpy()), 90, 90, 90]
                universe.atoms.positions = 10 * atoms.position[frame].to_numpy()
                universe.atoms.velocities = 10 * atoms.velocity[frame].to_numpy()
                universe.atoms.forces = atoms.force[frame].to_numpy() / 10
                writer.write(universe.atoms)
    return path


def write_dump(atoms, path):
    """A LAMMPS dump in "real" units, atoms in another order in every frame, 500 steps of 2 fs apart."""
    lines = []
    for frame in range(atoms.sizes["frame"]):
        lines += ["ITEM: TIMESTEP", str(500 * frame), "ITEM: NUMBER OF ATOMS", str(atoms.sizes["atom"])]
        lines += ["ITEM: BOX BOUNDS pp pp pp", *(f"0.0 {10 * float(x):.8f}" for x in atoms.box[frame])]
        lines.append("ITEM: ATOMS id type x y z vx vy vz fx fy fz")
        numbers = np.concatenate(
            [
                10 * atoms.position[frame].to_numpy(),
                1e-2 * atoms.velocity[frame].to_numpy(),
                atoms.force[frame].to_numpy() / (10 * KCAL),
            ],
            axis=1,
        )
        for i in np.random.default_rng(frame).permutation(len(numbers)):
            lines.append(f"{i + 1} 1 " + " ".join(f"{x:.9g}" for x in numbers[i]))
    path.write_text("\n".join([*lines, ""]))
    return path


def write_extended_xyz(atoms, path):
    """In nm, ps, kJ/mol."""
    lines = []
    for frame in range(atoms.sizes["frame"]):
        box = " ".join(f"{x:.8f}" for x in np.diag(atoms.box[frame].to_numpy()).ravel())
        layout = "species:S:1:pos:R:3:velo:R:3:forces:R:3:resid:I:1:resname:S:1"
        lines += [
            str(atoms.sizes["atom"]),
            f'Lattice="{box}" Properties={layout} Time={float(atoms.time[frame])}',
        ]
        for i in range(atoms.sizes["atom"]):
            numbers = [*atoms.position[frame, i], *atoms.velocity[frame, i], *atoms.force[frame, i]]
            text = " ".join(f"{float(x):.9f}" for x in numbers)
            lines.append(f"{atoms.name[i].item()[0]} {text} {int(atoms.residue[i])} SOL")
    path.write_text("\n".join([*lines, ""]))
    return path


def write_own(atoms, path):
    return bcg.data.to_file(atoms, path)


H5MD_OPTIONS = {
    "velocities": True,
    "forces": True,
    "lengthunit": "Angstrom",
    "timeunit": "ps",
    "velocityunit": "Angstrom/ps",
    "forceunit": "kJ/(mol*Angstrom)",
}

WRITERS = {
    "trr": (write_with_mdanalysis, {}, {}),
    "xtc": (write_with_mdanalysis, {}, {}),
    "dcd": (write_with_mdanalysis, {"dt": 1.0}, {}),
    "h5md": (write_with_mdanalysis, H5MD_OPTIONS, {}),
    "lammpstrj": (write_dump, {}, {"units": "real", "timestep": 0.002}),
    "extxyz": (write_extended_xyz, {}, {"units": "gromacs"}),
    "nc": (write_own, {}, {}),
    "npz": (write_own, {}, {}),
}


def write(atoms, folder, ending):
    """Write a trajectory and its topology; return what `read_trajectory` needs to read it."""
    writer, write_options, read_options = WRITERS[ending]
    path = writer(atoms, folder / f"water.{ending}", **write_options)
    topology = None if ending in ("extxyz", "nc", "npz") else write_psf(atoms, folder / "water.psf")
    return topology, path, read_options
